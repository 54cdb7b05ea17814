"""The shop's people, their tokens, and what they did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from operator import or_

from django.db.models import F, Q, QuerySet

from kameng.accounts.models import ApiToken, AuditRecord, User, of_choice

# What is read by those who manage people alone.
OF_PEOPLE = (
    "accounts.log_in.",
    "accounts.token.",
    "accounts.role.",
    "accounts.factor.",
    "accounts.policy.",
    "panel.staff.",
    "panel.owner.",
)

# Django marks a password that nobody can use with an exclamation mark.
_UNSET = Q(password="") | Q(password__startswith="!")


def staff(*, query: str = "", role: str = "", state: str = "") -> QuerySet[User]:
    """Everybody with a log-in, those who may come in first. `state`: "in", "invited" (no password yet) or "locked"."""
    rows = User.objects.select_related("own_role")
    word = _plain(query)
    if word:
        rows = rows.filter(Q(name__icontains=word) | Q(email__icontains=word))
    if role:
        rows = rows.filter(of_choice(role))
    if state:
        rows = rows.filter(is_active=state != "locked")
    if state in ("in", "invited"):
        rows = rows.filter(_UNSET) if state == "invited" else rows.exclude(_UNSET)
    return rows.order_by("-is_active", "role", "email")


def may_log_in() -> int:
    """People who may log in, invited ones and owners among them: what a plan counts as staff."""
    return User.objects.filter(is_active=True).count()


def tokens(*, now: datetime, query: str = "", state: str = "") -> QuerySet[ApiToken]:
    """Live tokens first, then the newest. `state`: "live" or "ended" (revoked, or past its day)."""
    rows = ApiToken.objects.select_related("user")
    word = _plain(query)
    if word:
        rows = rows.filter(Q(name__icontains=word) | Q(user__name__icontains=word) | Q(user__email__icontains=word))
    over = Q(revoked_at__isnull=False) | Q(expires_at__lte=now)
    if state:
        rows = rows.filter(over) if state == "ended" else rows.exclude(over)
    return rows.order_by(F("revoked_at").desc(nulls_first=True), "-pk")


def _plain(query: str) -> str:
    return query.strip().replace("\x00", "")


def audit_records(
    *,
    of_people: bool,
    query: str = "",
    meaning: Sequence[str] = (),
    group: Sequence[str] = (),
    since: datetime | None = None,
    before: datetime | None = None,
) -> QuerySet[AuditRecord]:
    """Acts, newest first; `since` ≤ at < `before`. `of_people`: also what concerns staff, roles and tokens.

    `query` is a part of a person, an object or a deed, or an address; `meaning` are deeds whose words hold it.
    `group`: beginnings of the deeds that are wanted.
    """
    rows = AuditRecord.objects.order_by("-pk")
    if not of_people:
        for prefix in OF_PEOPLE:
            rows = rows.exclude(action__startswith=prefix)
    word = _plain(query)
    if word:
        rows = rows.filter(
            Q(actor_label__icontains=word)
            | Q(target__icontains=word)
            | Q(action__icontains=word)
            | Q(ip=word)
            | Q(action__in=meaning)
        )
    if group:
        rows = rows.filter(reduce(or_, [Q(action__startswith=beginning) for beginning in group]))
    if since is not None:
        rows = rows.filter(at__gte=since)
    if before is not None:
        rows = rows.filter(at__lt=before)
    return rows
