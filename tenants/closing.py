"""Closing a shop: it sells nothing more, what is open is finished or given back, and then it is closed for good.

What is still open is known by those who own it (settings.CLOSING_CHECKS); `tenants` only asks. What the shop is owed stays
on its ledger accounts, closed or not: closing pays nothing out and takes nothing away.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from kameng.accounts.types import SYSTEM, Actor
from kameng.db.context import in_main, in_substation
from kameng.jobs import services as jobs
from kameng.lib import clock, reasons
from kameng.lib.errors import Invalid, Refused
from kameng.lib.words import Sentence, worded
from tenants import domains, lifecycle
from tenants.models import Domain, DomainClaim, Substation
from tenants.states import SubstationEvent, SubstationState

TELL_BUYERS_JOB = "orders.tell_closing"
log = structlog.get_logger("tenants.closing")


class AddressNotTyped(Invalid):
    """What can't be undone wants the shop's address typed in full; nothing was changed."""

    code = "address_not_typed"


class StillOpen(Refused):
    """The shop can't be closed yet; `details["open"]` names what is open. Nothing was changed."""

    code = "substation_still_open"


@dataclass(frozen=True)
class Matter:
    """Something of a shop that has to end before it is closed: a kind, how many, and which (by number, the oldest first)."""

    kind: str
    words: Sentence
    count: int
    examples: tuple[str, ...] = ()


def begin(*, public_id: str, typed: str, reason: str, by: Actor, now: datetime, by_owner: bool = False) -> Substation:
    """Stop selling and begin to settle. `typed` is the shop's address, or its slug, as whoever closes it wrote it.

    Buyers whose orders are open are told by mail. Raises: SubstationMissing, AddressNotTyped, ReasonMissing (the main
    station says why; an owner need not), LifecycleRefused.
    """
    why = reasons.tidy(reason) if by_owner else reasons.required(reason, refusal=reasons.THE_OWNER_READS_IT)
    with transaction.atomic():
        row = lifecycle.find(public_id)
        check_typed(row, typed)
        moved = lifecycle.move(
            substation_id=row.pk, event=SubstationEvent.BEGIN_CLOSING, by=by, now=now, reason=why, closing_at=now,
        )  # fmt: skip
        with in_substation(moved):
            jobs.enqueue(kind=TELL_BUYERS_JOB, payload={}, dedupe="closing")
    return moved


def check_typed(row: Substation, typed: str) -> None:
    """Raises: AddressNotTyped, unless `typed` is the shop's address."""
    given = typed.strip().lower().removeprefix("https://").removeprefix("http://").strip("/")
    if given not in (row.slug, row.host):
        message = _("Type %(address)s to confirm. Nothing was changed.")
        raise AddressNotTyped(worded(message, address=row.host), field="typed")


def keep(*, public_id: str, by: Actor, now: datetime) -> Substation:
    """Call the closing off: the shop is what it was before. Raises: SubstationMissing, LifecycleRefused."""
    return lifecycle.move(
        substation_id=lifecycle.find(public_id).pk, event=SubstationEvent.KEEP, by=by, now=now, closing_at=None
    )


def open_matters(row: Substation) -> list[Matter]:
    """What has to end before the shop is closed, of every app that has a say. In a main transaction or none."""
    found: list[Matter] = []
    for path in settings.CLOSING_CHECKS:
        found += import_string(path)(row)
    return [matter for matter in found if matter.count]


def close(*, public_id: str, by: Actor, now: datetime) -> Substation:
    """CLOSING → CLOSED, when nothing is open. Its panel can be read and its data exported; its domains are released later.

    Race: a payment that comes in while we look. The shop's row is locked first, and an order can't be placed since the
    closing began; late money for an old order opens a payment case, which the main station settles with the shop closed.
    Raises: SubstationMissing, StillOpen, LifecycleRefused.
    """
    with transaction.atomic():
        row = lifecycle.find(public_id, lock=True)
        if row.state == SubstationState.CLOSING:
            matters = open_matters(row)
            if matters:
                raise StillOpen(
                    worded(_("The shop can't be closed yet: %(what)s."), what=_Listed(matters)),
                    details={"open": {matter.kind: matter.count for matter in matters}},
                )
        for path in settings.CLOSING_STEPS:
            import_string(path)(row)
        return lifecycle.move(
            substation_id=row.pk, event=SubstationEvent.CLOSE, by=by, now=now, closed_at=now, suspended_reason=""
        )


class _Listed:
    """Matters in a sentence, in the reader's language."""

    def __init__(self, matters: list[Matter]) -> None:
        self.matters = matters

    def __str__(self) -> str:
        return ", ".join(f"{matter.words}: {matter.count}" for matter in self.matters)


def close_due(now: datetime | None = None) -> int:
    """Close every shop in which nothing is open and whose closing can't be called off any more; answers how many.

    One shop's trouble stops no other's closing.
    """
    at = now or clock.utc_now()
    patience = timedelta(hours=settings.CLOSING_HOURS)
    with in_main():
        due = Substation.objects.filter(state=SubstationState.CLOSING, closing_at__lte=at - patience)
        ids = list(due.order_by("pk").values_list("public_id", flat=True))
    closed = 0
    for public_id in ids:
        try:
            with in_main():
                close(public_id=public_id, by=SYSTEM, now=at)
            closed += 1
        except Refused:
            continue  # Something is open; the pages say what.
        except Exception:  # Whatever it was, the next shop's closing is not to wait for it.
            log.exception("tenants.closing.failed", substation=public_id)
    return closed


def release_domains(now: datetime | None = None) -> int:
    """Give the domains of shops that were closed long enough ago free; answers how many. One shop's trouble stops no
    other's release."""
    at = now or clock.utc_now()
    with in_main():
        closed = Substation.objects.filter(
            state=SubstationState.CLOSED, closed_at__lte=at - timedelta(days=settings.DOMAIN_HOLD_DAYS)
        )
        held = closed.filter(
            Exists(DomainClaim.objects.filter(substation=OuterRef("pk")))
            | Exists(Domain.objects.filter(tenant=OuterRef("pk")))
        )
        rows = list(held)
    freed = 0
    for row in rows:
        try:
            with in_main():
                freed += domains.release_all(row, now=at)
        except Exception:  # Whatever it was, the next shop's domains are not to wait for it.
            log.exception("tenants.domains.not_released", substation=row.public_id)
    return freed
