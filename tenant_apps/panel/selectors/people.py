"""The shop's people, their tokens, and what they did."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F, Q, QuerySet

from kameng.accounts.models import ApiToken, AuditRecord, Role, User

OWNERS_ALONE = ("accounts.token.", "panel.staff.", "panel.owner.")  # What staff may not see, they don't read about.


def staff(*, query: str = "", role: str = "", state: str = "") -> QuerySet[User]:
    """Everybody with a log-in, those who may come in first. `state`: "in", "invited" (no password yet) or "locked"."""
    rows = User.objects.all()
    word = _plain(query)
    if word:
        rows = rows.filter(Q(name__icontains=word) | Q(email__icontains=word))
    if role:
        rows = rows.filter(role=role)
    if state:
        rows = rows.filter(is_active=state != "locked")
    if state in ("in", "invited"):  # Django marks a password that nobody can use with an exclamation mark.
        unset = Q(password="") | Q(password__startswith="!")
        rows = rows.filter(unset) if state == "invited" else rows.exclude(unset)
    return rows.order_by("-is_active", "role", "email")


def owners() -> int:
    """How many owners may come in: the last one can neither be locked out nor lose the role."""
    return User.objects.filter(role=Role.OWNER, is_active=True).count()


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
    *, owner: bool, query: str = "", since: datetime | None = None, before: datetime | None = None
) -> QuerySet[AuditRecord]:
    """Acts, newest first; `since` ≤ at < `before`."""
    rows = AuditRecord.objects.order_by("-pk")
    if not owner:
        for prefix in OWNERS_ALONE:
            rows = rows.exclude(action__startswith=prefix)
    word = _plain(query)
    if word:
        rows = rows.filter(Q(actor_label__icontains=word) | Q(target__icontains=word) | Q(action__icontains=word))
    if since is not None:
        rows = rows.filter(at__gte=since)
    if before is not None:
        rows = rows.filter(at__lt=before)
    return rows
