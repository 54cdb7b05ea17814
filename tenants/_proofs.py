"""What DNS says of a claimed domain, and what follows: held, told that its records are gone, let go. Part of `tenants.domains`."""

from __future__ import annotations

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
from kameng.lib.errors import Missing
from tenants import dns, hosts
from tenants.models import Domain, DomainClaim, Plan, Substation
from tenants.names import CHALLENGE
from tenants.states import UNREACHABLE, ClaimState

MAIL_JOB = "tenants.mail_domain"
EVERY = timedelta(hours=24)
# A fresh claim is looked at often: records take minutes to hours to be seen.
SOON, SOON_FOR = timedelta(minutes=10), timedelta(days=2)
LATER_FOR = timedelta(days=30)  # After that it is checked when somebody asks.
GRACE = timedelta(days=3)
DUE_AT_ONCE = 100
HELD = frozenset({ClaimState.VERIFIED, ClaimState.FAILING})
NOT_IN_PLAN = "not_in_plan"  # The problem of a claim whose shop's plan has no domain of its own.
NO_TOKEN = ("txt_missing", "txt_other")  # Problems that say that a claim's own token is not there.
Seen = tuple[int, datetime | None] | None
log = structlog.get_logger("tenants.domains")


class DomainUnknown(Missing):
    """No such domain in this shop."""

    code = "domain_unknown"


def check(*, claim_id: int, by: Actor, now: datetime) -> DomainClaim:
    """Ask DNS about one claim and act on what it says. Outside any transaction. Raises: DomainUnknown."""
    assert not connection.in_atomic_block, "DNS is asked outside any transaction."
    with in_main():
        claim = DomainClaim.objects.select_related("substation__plan").filter(pk=claim_id).first()
        seen = _seen(_holding(claim)) if claim is not None else None
    if claim is None:
        raise DomainUnknown(_("There is no such domain in this shop."))
    if not claim.substation.plan.own_domain_allowed:  # Whatever DNS says.
        return _failed(claim, NOT_IN_PLAN, "", now=now)
    try:
        answers = dns.look_up(claim.domain, f"{CHALLENGE}.{claim.domain}")
    except dns.DnsAway as error:
        return _note(claim, "away", str(error)[:300], now=now)
    problem, found = _judge(claim, answers)
    if problem:
        return _failed(claim, problem, found, now=now)
    return _proved(claim, answers, seen, by=by, now=now)


def _holding(claim: DomainClaim) -> DomainClaim | None:
    """The claim by which another shop holds the same name. None, too, where a shop holds it without one."""
    holders = Domain.objects.filter(domain=claim.domain).exclude(tenant_id=claim.substation_id)
    rows = DomainClaim.objects.filter(domain=claim.domain, state__in=HELD)
    found: DomainClaim | None = rows.filter(substation_id__in=holders.values("tenant_id")).first()
    return found


def _seen(claim: DomainClaim | None) -> Seen:
    """Which claim it is, and when it was looked at last."""
    return None if claim is None else (claim.pk, claim.checked_at)


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


def _proved(claim: DomainClaim, answers: dns.Answers, seen: Seen, *, by: Actor, now: datetime) -> DomainClaim:
    """Hold the name for the shop. Race: two shops that prove one name at once, or one that is removed meanwhile.

    The claim's row is locked and must still have the token that DNS showed; the unique key on the name lets one shop through.
    Who holds it loses it here and now when these same answers lack its token: the name has another owner, and buyers would
    go on paying the former one. `seen`: the holder's claim as it was before DNS was asked. A plan that lost its own domains
    while DNS answered holds none: it is read under the shop's lock, which a change of plan takes.
    """
    with in_main():
        row, theirs = _lock_both(claim)
        if not Plan.objects.get(substations=row.substation_id).own_domain_allowed:
            return _failing(row, NOT_IN_PLAN, "", now=now)
        if theirs is not None and _has_gone(theirs, answers, seen):
            _take_off(theirs, "handed_over", now=now)
        try:
            with transaction.atomic():
                kept, made = Domain.objects.get_or_create(
                    domain=row.domain,
                    defaults={"tenant_id": row.substation_id, "is_primary": False, "verified_at": now},
                )
        except IntegrityError:  # The other's row is not committed yet, or is by now.
            kept, made = Domain.objects.filter(domain=row.domain).first(), False
        if kept is not None and kept.tenant_id == row.substation_id:
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


def _lock_both(claim: DomainClaim) -> tuple[DomainClaim, DomainClaim | None]:
    """The claim, and that of the shop which holds the name, if another does; locked, with both shops. Raises: DomainUnknown.

    Shops come before claims, and each in the order of their keys: two shops that take names from each other at once follow
    one another. Who came to hold the name while the locks were waited for is not locked, and keeps it.
    """
    before = _holding(claim)
    shops = [claim.substation_id] if before is None else [claim.substation_id, before.substation_id]
    _lock_shops(shops)
    claims = DomainClaim.objects.select_related("substation").filter(domain=claim.domain, substation_id__in=shops)
    rows = {found.pk: found for found in claims.order_by("pk").select_for_update(of=("self",))}
    row = rows.get(claim.pk)
    if row is None or row.token != claim.token:
        raise DomainUnknown(_("There is no such domain in this shop."))
    after = _holding(claim)
    return row, None if after is None else rows.get(after.pk)


def _lock_shops(ids: list[int]) -> None:
    """NO KEY: orders that refer to the shops go on meanwhile."""
    list(Substation.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True).values_list("pk"))


def _has_gone(theirs: DomainClaim, answers: dns.Answers, seen: Seen) -> bool:
    """Whether the holder's token is not there any more. An answer of DNS, for name servers that fail never lead here.

    Race: the holder sets its record again and has it checked while our answers are on their way. Theirs are newer then, and
    count, unless they say the same.
    """
    if theirs.token in answers.texts:
        return False
    return _seen(theirs) == seen or theirs.problem in NO_TOKEN


def _look_at_holder(domain: str, substation_id: int, *, now: datetime) -> None:
    """Somebody else proves a name whose holder still has its token: whether it still leads to the holder is asked now."""
    with in_main():
        other = (
            DomainClaim.objects.select_related("substation")
            .filter(domain=domain, substation_id=substation_id, state__in=HELD)
            .first()
        )
    if other is not None and (other.checked_at is None or other.checked_at <= now - SOON):
        check(claim_id=other.pk, by=SYSTEM, now=now)


def _failed(claim: DomainClaim, problem: str, found: str, *, now: datetime) -> DomainClaim:
    """Not proved (any more), or not in the plan."""
    with in_main():
        _lock_shops([claim.substation_id])
        row = DomainClaim.objects.select_for_update(of=("self",)).filter(pk=claim.pk, token=claim.token).first()
        if row is None:
            raise DomainUnknown(_("There is no such domain in this shop."))
        return _failing(row, problem, found, now=now)


def _failing(row: DomainClaim, problem: str, found: str, *, now: datetime) -> DomainClaim:
    """What is held stays for the days of grace, told to its owner, and is then let go. Its shop and the claim are locked.

    Records and plan are two matters: the days that were told of the one are none of the other.
    """
    another = (problem == NOT_IN_PLAN) != (row.problem == NOT_IN_PLAN)
    begins = row.state == ClaimState.VERIFIED or (row.state == ClaimState.FAILING and another)
    if row.state == ClaimState.FAILING and not begins and row.failing_since and row.failing_since + GRACE <= now:
        _take_off(row, problem, found, now=now)
        return _again(row)
    row.problem, row.found, row.checked_at, row.asked_at = problem, found[:300], now, None
    if begins:
        row.state, row.failing_since = ClaimState.FAILING, now
        _tell(row, "failing", now)
    row.save(update_fields=["problem", "found", "checked_at", "asked_at", "state", "failing_since"])
    return _again(row)


def _take_off(row: DomainClaim, problem: str, found: str = "", *, now: datetime) -> None:
    """The shop loses the name, and its owner is told why. Its shop and the claim are locked."""
    row.state, row.problem, row.found, row.checked_at, row.asked_at = ClaimState.LOST, problem, found[:300], now, None
    row.save(update_fields=["state", "problem", "found", "checked_at", "asked_at"])
    let_go(row)
    _tell(row, "lost", now)


def _tell(row: DomainClaim, what: str, now: datetime) -> None:
    audit.record(
        action=f"tenants.domain.{what}", by=SYSTEM, target=row.substation.public_id, at=now, domain=row.domain,
        reason=row.problem,
    )  # fmt: skip
    jobs.enqueue(kind=MAIL_JOB, payload={"claim_id": row.pk, "what": what}, dedupe=f"{row.pk}:{what}")


def let_go(row: DomainClaim) -> None:
    """Nothing leads to the shop by this name any more, nor is it the first address. The shop's row is locked."""
    held = Domain.objects.filter(domain=row.domain, tenant_id=row.substation_id)
    if held.filter(is_primary=True).exists():
        Substation.objects.filter(pk=row.substation_id).update(sends_on=False)
    held.delete()
    transaction.on_commit(lambda: _forget(row))


def _forget(claim: DomainClaim) -> None:
    hosts.forget_names([claim.domain])
    hosts.forget(claim.substation)


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
