"""A shop's own domains: claimed, proved by DNS, checked again each day, held, released.

A claim holds nothing. Proved is a name by a TXT record with the claim's own token and by leading to the shop; then a row in
`Domain` holds it, whose name is unique. So a record that a former owner of a name left behind proves nothing to anybody else:
its token is of another claim.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import SYSTEM, Actor
from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib import clock
from kameng.lib.errors import Missing, Refused
from kameng.lib.words import Sentence, worded
from tenants import dns, hosts, lifecycle, limits, names
from tenants.models import Domain, DomainClaim, Substation
from tenants.names import CHALLENGE
from tenants.states import UNREACHABLE, ClaimState, SubstationState

MAIL_JOB = "tenants.mail_domain"
CHECK_JOB = "tenants.check_domain"
MAX_CLAIMS = 20  # Of one shop at a time, proved or not: each is looked up by us.
EVERY = timedelta(hours=24)
# A fresh claim is looked at often: records take minutes to hours to be seen.
SOON, SOON_FOR = timedelta(minutes=10), timedelta(days=2)
LATER_FOR = timedelta(days=30)  # After that it is checked when somebody asks.
GRACE = timedelta(days=3)
DUE_AT_ONCE = 100
HELD = frozenset({ClaimState.VERIFIED, ClaimState.FAILING})
log = structlog.get_logger("tenants.domains")

PROBLEMS: dict[str, Sentence] = {
    "": "",
    "txt_missing": _("The TXT record is not there yet."),
    "txt_other": _("There is a TXT record, with another value than ours."),
    "not_here": _("The name does not lead to your shop yet."),
    "elsewhere": _("The name leads somewhere else."),
    "other_shop": _("The name leads to another shop of ours."),
    "held": _("Another shop is connected with this domain. Once its records are gone, it is let go within some days."),
    "away": _("The name servers did not answer. We ask again."),
}


class DomainTaken(Refused):
    """This shop has it already, or another has proved it."""

    code = "domain_taken"


class TooManyDomains(Refused):
    """The plan's limit, or the most that one shop may have looked up."""

    code = "domain_limit"


class DomainUnknown(Missing):
    """No such domain in this shop."""

    code = "domain_unknown"


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
    texts = Record(
        "TXT", f"{CHALLENGE}.{claim.domain}", claim.token, proved or missing not in ("", "txt_missing", "txt_other")
    )
    if names.is_apex(claim.domain):
        addresses = settings.INGRESS_ADDRESSES
        return [texts, *(Record(_kind(address), claim.domain, address, proved) for address in addresses)]
    return [texts, Record("CNAME", claim.domain, claim.substation.host, proved)]


def _kind(address: str) -> str:
    return "AAAA" if ":" in address else "A"


def check(*, claim_id: int, by: Actor, now: datetime) -> DomainClaim:
    """Ask DNS about one claim and act on what it says. Outside any transaction. Raises: DomainUnknown."""
    assert not connection.in_atomic_block, "DNS is asked outside any transaction."
    with in_main():
        claim = DomainClaim.objects.select_related("substation").filter(pk=claim_id).first()
    if claim is None:
        raise DomainUnknown(_("There is no such domain in this shop."))
    try:
        answers = dns.look_up(claim.domain, f"{CHALLENGE}.{claim.domain}")
    except dns.DnsAway as error:
        return _note(claim, "away", str(error)[:300], now=now)
    problem, found = _judge(claim, answers)
    if problem:
        return _failed(claim, problem, found, now=now)
    return _proved(claim, by=by, now=now)


def _judge(claim: DomainClaim, answers: dns.Answers) -> tuple[str, str]:
    """What is wrong, as a code of `PROBLEMS`, and what stands there instead; empty: all is right."""
    if claim.token not in answers.texts:
        return ("txt_other", ", ".join(answers.texts)) if answers.texts else ("txt_missing", "")
    if claim.substation.host in answers.aliases:
        return "", ""
    ours = f".{settings.BASE_DOMAIN}"
    strange = [alias for alias in answers.aliases if alias.endswith(ours)]
    if strange:
        return "other_shop", strange[0]
    # Every address must be ours: with one that is not, half of the buyers would be somewhere else.
    if answers.addresses and set(answers.addresses) <= set(settings.INGRESS_ADDRESSES):
        return "", ""
    there = [*answers.aliases, *answers.addresses]
    return ("elsewhere", ", ".join(there)) if there else ("not_here", "")


def _note(claim: DomainClaim, problem: str, found: str, *, now: datetime) -> DomainClaim:
    """Weather: nothing is concluded from it."""
    with in_main():
        DomainClaim.objects.filter(pk=claim.pk, token=claim.token).update(
            problem=problem, found=found, checked_at=now, asked_at=None
        )
        return _again(claim)


def _again(claim: DomainClaim) -> DomainClaim:
    row = DomainClaim.objects.select_related("substation__plan").filter(pk=claim.pk).first()
    if row is None:
        raise DomainUnknown(_("There is no such domain in this shop."))
    return row


def _proved(claim: DomainClaim, *, by: Actor, now: datetime) -> DomainClaim:
    """Hold the name for the shop. Race: two shops that prove one name at once, or one that is removed meanwhile.

    The claim's row is locked and must still have the token that DNS showed; the unique key on the name lets one shop through.
    """
    with in_main():
        row = DomainClaim.objects.select_for_update(of=("self",)).filter(pk=claim.pk, token=claim.token).first()
        if row is None:
            raise DomainUnknown(_("There is no such domain in this shop."))
        try:
            with transaction.atomic():
                kept, made = Domain.objects.get_or_create(
                    domain=row.domain,
                    defaults={"tenant_id": row.substation_id, "is_primary": False, "verified_at": now},
                )
        except IntegrityError:  # The other's row is not committed yet, or is by now.
            kept, made = Domain.objects.filter(domain=row.domain).first(), False
        held_by_other = kept is None or kept.tenant_id != row.substation_id
        if not held_by_other:
            was = row.state
            row.state, row.problem, row.found = ClaimState.VERIFIED, "", ""
            row.failing_since, row.checked_at = None, now
            row.asked_at = None
            row.save(update_fields=["state", "problem", "found", "failing_since", "checked_at", "asked_at"])
            if made or was != ClaimState.VERIFIED:
                audit.record(
                    action="tenants.domain.verified",
                    by=by,
                    target=claim.substation.public_id,
                    at=now,
                    domain=row.domain,
                )
                transaction.on_commit(lambda: _forget(claim))
            return _again(claim)
        holder = None if kept is None else kept.tenant_id
    if holder is not None:
        _look_at_holder(row.domain, holder, now=now)
    return _note(claim, "held", "", now=now)


def _look_at_holder(domain: str, substation_id: int, *, now: datetime) -> None:
    """Somebody else proves a name that a shop holds: whether that shop still has its records is asked now, not tomorrow."""
    with in_main():
        other = (
            DomainClaim.objects.select_related("substation")
            .filter(domain=domain, substation_id=substation_id, state__in=HELD)
            .first()
        )
    if other is not None and (other.checked_at is None or other.checked_at <= now - SOON):
        check(claim_id=other.pk, by=SYSTEM, now=now)


def _failed(claim: DomainClaim, problem: str, found: str, *, now: datetime) -> DomainClaim:
    """Not proved (any more). What is held stays for the days of grace, told to its owner, and is then let go."""
    with in_main():
        row = DomainClaim.objects.select_for_update(of=("self",)).filter(pk=claim.pk, token=claim.token).first()
        if row is None:
            raise DomainUnknown(_("There is no such domain in this shop."))
        row.problem, row.found, row.checked_at, row.asked_at = problem, found[:300], now, None
        if row.state == ClaimState.VERIFIED:
            row.state, row.failing_since = ClaimState.FAILING, now
            _tell(row, "failing", now)
        elif row.state == ClaimState.FAILING and row.failing_since and row.failing_since + GRACE <= now:
            row.state = ClaimState.LOST
            _let_go(row)
            _tell(row, "lost", now)
        row.save(update_fields=["problem", "found", "checked_at", "asked_at", "state", "failing_since"])
        return _again(claim)


def _tell(row: DomainClaim, what: str, now: datetime) -> None:
    audit.record(action=f"tenants.domain.{what}", by=SYSTEM, target=row.substation.public_id, at=now, domain=row.domain)
    jobs.enqueue(kind=MAIL_JOB, payload={"claim_id": row.pk, "what": what}, dedupe=f"{row.pk}:{what}")


def _let_go(row: DomainClaim) -> None:
    Domain.objects.filter(domain=row.domain, tenant_id=row.substation_id).delete()
    transaction.on_commit(lambda: _forget(row))


def _forget(claim: DomainClaim) -> None:
    hosts.forget_names([claim.domain])
    hosts.forget(claim.substation)


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
        claim = _claim(substation_id, claim_id, lock=True)
        primary = Domain.objects.filter(domain=claim.domain, tenant_id=substation_id, is_primary=True).exists()
        _let_go(claim)
        if primary:
            Substation.objects.filter(pk=substation_id).update(sends_on=False)
        audit.record(
            action="tenants.domain.removed", by=by, target=claim.substation.public_id, at=now, domain=claim.domain
        )
        claim.delete()
    return claim.domain


def release_all(shop: Substation, *, now: datetime) -> int:
    """Let go of every domain of a shop that was closed; answers how many. Main scope."""
    rows = list(DomainClaim.objects.select_related("substation").filter(substation=shop))
    names_led = list(Domain.objects.filter(tenant=shop).values_list("domain", flat=True))
    transaction.on_commit(lambda: hosts.forget_names(names_led))
    for row in rows:
        _let_go(row)
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


def check_due(now: datetime | None = None) -> int:
    """Look at every claim whose time has come; answers how many. One that makes trouble stops no other."""
    at = now or clock.utc_now()
    waiting = Q(state=ClaimState.WAITING, created_at__gt=at - LATER_FOR)
    due = Q(checked_at__isnull=True) | Q(checked_at__lte=at - EVERY)
    fresh = Q(state=ClaimState.WAITING, created_at__gt=at - SOON_FOR) & Q(checked_at__lte=at - SOON)
    with in_main():
        rows = DomainClaim.objects.filter((Q(state__in=HELD) | waiting) & due | fresh)
        rows = rows.exclude(substation__state__in=UNREACHABLE)
        # Those never looked at come first: their owners wait at the page.
        first = rows.order_by(F("checked_at").asc(nulls_first=True))
        ids = list(first.values_list("pk", flat=True)[:DUE_AT_ONCE])
    for claim_id in ids:
        try:
            check(claim_id=claim_id, by=SYSTEM, now=at)
        except Exception:  # Whatever it was, the next claim is not to wait for it.
            log.exception("tenants.domain.not_checked", claim=claim_id)
    return len(ids)
