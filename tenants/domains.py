"""A shop's own domains: claimed, proved by DNS, checked again each day, held, released.

A claim holds nothing. Proved is a name by a TXT record with the claim's own token and by leading to the shop; then a row in
`Domain` holds it, whose name is unique. So a record that a former owner of a name left behind proves nothing to anybody else:
its token is of another claim.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import SYSTEM, Actor
from kameng.jobs import services as jobs
from kameng.lib.errors import Refused
from kameng.lib.words import Sentence, worded
from tenants import hosts, lifecycle, limits, names
from tenants._proofs import GRACE, MAIL_JOB, NO_TOKEN, NOT_IN_PLAN, DomainUnknown, check, check_due, let_go
from tenants.models import Domain, DomainClaim, Substation
from tenants.names import CHALLENGE
from tenants.states import UNREACHABLE, ClaimState, SubstationState

CHECK_JOB = "tenants.check_domain"
UNSEEN = frozenset(
    {"", *NO_TOKEN, "handed_over", NOT_IN_PLAN}
)  # Problems after which the TXT record is still to be set.
MAX_CLAIMS = 20  # Of one shop at a time, proved or not: each is looked up by us.

PROBLEMS: dict[str, Sentence] = {
    "": "",
    "txt_missing": _("The TXT record is not there yet."),
    "txt_other": _("There is a TXT record, with another value than ours."),
    "not_here": _("The name does not lead to your shop yet."),
    "elsewhere": _("The name leads somewhere else."),
    "other_shop": _("The name leads to another shop of ours."),
    "held": _(
        "Another shop is connected with this domain. Take its TXT record away, and the next check gives the domain to you."
    ),
    "handed_over": _(
        "Another shop has proved that this domain is its own, and your TXT record was not there any more."
    ),
    NOT_IN_PLAN: _("The shop's plan has no domain of its own. Choose one that has it, then have the domain checked."),
    "away": _("The name servers did not answer. We ask again."),
}


class DomainTaken(Refused):
    """This shop has it already, or another has proved it."""

    code = "domain_taken"


class TooManyDomains(Refused):
    """The plan's limit, or the most that one shop may have looked up."""

    code = "domain_limit"


class NotVerified(Refused):
    """Only a connected domain can be the primary one."""

    code = "domain_not_verified"


class ShopNotOpen(Refused):
    """A shop that is closed takes no domain."""

    code = "domain_shop_closed"


@dataclass(frozen=True)
class Record:
    """One DNS record to set; `done`: the last check saw it."""

    kind: str
    name: str
    value: str
    done: bool


def add(*, substation_id: int, domain: str, by: Actor, now: datetime) -> DomainClaim:
    """Claim a domain; it leads here once it is proved. Main scope.

    Raises: the DomainRefused family, DomainTaken, TooManyDomains, ShopNotOpen, limits.NotInPlan.
    """
    name = names.clean(domain)
    if names.is_apex(name) and not settings.INGRESS_ADDRESSES:
        told = _("A domain itself can only lead to an address, and this main station has named none. Use www.%(name)s.")
        raise names.DomainRefused(worded(told, name=names.shown(name)), field="domain")
    with transaction.atomic():
        # Race: two tabs at once. The shop's row makes them follow one another, so the limit is counted once.
        shop = lifecycle.locked(substation_id)
        if shop.state in UNREACHABLE | {SubstationState.CLOSING, SubstationState.CLOSED}:
            raise ShopNotOpen(_("The shop is being closed, so no domain can be added."), field="domain")
        limits.require_of(shop.plan, limits.Switch.OWN_DOMAIN, field="domain")
        if DomainClaim.objects.filter(substation=shop).count() >= MAX_CLAIMS:
            message = _("A shop has %(count)s domains of its own at most. Remove one first.")
            raise TooManyDomains(worded(message, count=MAX_CLAIMS), field="domain")
        try:
            with transaction.atomic():
                claim: DomainClaim = DomainClaim.objects.create(
                    substation=shop, domain=name, token=f"kameng-{secrets.token_hex(20)}", created_at=now
                )
        except IntegrityError as error:
            raise DomainTaken(
                worded(_("%(name)s is in your list already."), name=names.shown(name)), field="domain"
            ) from error
        audit.record(action="tenants.domain.added", by=by, target=shop.public_id, at=now, domain=name)
    return claim


def ask_check(*, substation_id: int, claim_id: int, now: datetime) -> DomainClaim:
    """Have a claim checked now, by a worker: a name server may take its time. Main scope. Raises: DomainUnknown."""
    with transaction.atomic():
        claim = _claim(substation_id, claim_id, lock=True)
        claim.asked_at = now
        claim.save(update_fields=["asked_at"])
        jobs.enqueue(kind=CHECK_JOB, payload={"claim_id": claim.pk}, dedupe=str(claim.pk))
    return claim


def records(claim: DomainClaim) -> list[Record]:
    """What its owner has to set at their provider: the proof, and the way to the shop."""
    proved = claim.state == ClaimState.VERIFIED
    missing = claim.problem
    texts = Record("TXT", f"{CHALLENGE}.{claim.domain}", claim.token, proved or missing not in UNSEEN)
    if names.is_apex(claim.domain):
        addresses = settings.INGRESS_ADDRESSES
        return [texts, *(Record(_kind(address), claim.domain, address, proved) for address in addresses)]
    return [texts, Record("CNAME", claim.domain, claim.substation.host, proved)]


def _kind(address: str) -> str:
    return "AAAA" if ":" in address else "A"


def make_primary(*, substation_id: int, claim_id: int | None, sends_on: bool, by: Actor, now: datetime) -> None:
    """Which address is the shop's first; None: the one it has here. `sends_on`: whether the others lead browsers to it.

    Main scope. Raises: DomainUnknown, NotVerified.
    """
    with transaction.atomic():
        shop = lifecycle.locked(substation_id)
        name = ""
        if claim_id is not None:
            claim = _claim(substation_id, claim_id)
            name = claim.domain
            if claim.state != ClaimState.VERIFIED:
                raise NotVerified(_("Only a connected domain can be the shop's first address. Set its records first."))
        Domain.objects.filter(tenant_id=substation_id, is_primary=True).exclude(domain=name).update(is_primary=False)
        Domain.objects.filter(tenant_id=substation_id, domain=name).update(is_primary=True)
        shop.sends_on = sends_on and bool(name)
        shop.save(update_fields=["sends_on"])
        audit.record(
            action="tenants.domain.primary", by=by, target=shop.public_id, at=now, domain=name, sends_on=shop.sends_on
        )
        transaction.on_commit(lambda: hosts.forget(shop))


def remove(*, substation_id: int, claim_id: int, by: Actor, now: datetime) -> str:
    """Give a domain up; answers its name. At once: nothing leads here by it any more. Main scope. Raises: DomainUnknown."""
    with transaction.atomic():
        lifecycle.locked(substation_id)  # The shop before its claim, as whoever takes the name from it does.
        claim = _claim(substation_id, claim_id, lock=True)
        let_go(claim)
        audit.record(
            action="tenants.domain.removed", by=by, target=claim.substation.public_id, at=now, domain=claim.domain
        )
        claim.delete()
    return claim.domain


def release_all(shop: Substation, *, now: datetime) -> int:
    """Let go of every domain of a shop that was closed; answers how many. Main scope."""
    lifecycle.locked(shop.pk)
    rows = list(DomainClaim.objects.select_related("substation").filter(substation=shop))
    names_led = list(Domain.objects.filter(tenant=shop).values_list("domain", flat=True))
    transaction.on_commit(lambda: hosts.forget_names(names_led))
    for row in rows:
        let_go(row)
        audit.record(action="tenants.domain.released", by=SYSTEM, target=shop.public_id, at=now, domain=row.domain)
    Domain.objects.filter(tenant=shop).delete()
    DomainClaim.objects.filter(pk__in=[row.pk for row in rows]).delete()
    Substation.objects.filter(pk=shop.pk).update(sends_on=False)
    return len(rows)


def _claim(substation_id: int, claim_id: int, *, lock: bool = False) -> DomainClaim:
    rows = DomainClaim.objects.select_related("substation__plan")
    rows = rows.select_for_update(of=("self",)) if lock else rows
    found: DomainClaim | None = rows.filter(substation_id=substation_id, pk=claim_id).first()
    if found is None:
        raise DomainUnknown(_("There is no such domain in this shop."))
    return found


def claims_of(substation_id: int) -> list[DomainClaim]:
    """A shop's claims in the order in which they were made, each with `primary`. Main scope."""
    primary = set(Domain.objects.filter(tenant_id=substation_id, is_primary=True).values_list("domain", flat=True))
    rows = list(DomainClaim.objects.select_related("substation__plan").filter(substation_id=substation_id))
    for row in rows:
        row.primary = row.domain in primary  # type: ignore[attr-defined]
    return rows


__all__ = ["GRACE", "MAIL_JOB", "NOT_IN_PLAN", "DomainUnknown", "check", "check_due"]
