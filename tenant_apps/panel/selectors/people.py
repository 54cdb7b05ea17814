"""The shop's people, their tokens, and what they did."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F, Q, QuerySet

from kameng.accounts.models import ApiToken, AuditRecord, User

OWNERS_ALONE = ("accounts.token.", "panel.staff.", "panel.owner.")  # What staff may not see, they don't read about.


def staff() -> QuerySet[User]:
    """Everybody with a log-in, those who may come in first."""
    return User.objects.order_by("-is_active", "role", "email")


def tokens() -> QuerySet[ApiToken]:
    """Live tokens first, then the newest."""
    return ApiToken.objects.select_related("user").order_by(F("revoked_at").desc(nulls_first=True), "-pk")


def audit_records(
    *, owner: bool, query: str = "", since: datetime | None = None, before: datetime | None = None
) -> QuerySet[AuditRecord]:
    """Acts, newest first; `since` ≤ at < `before`."""
    rows = AuditRecord.objects.order_by("-pk")
    if not owner:
        for prefix in OWNERS_ALONE:
            rows = rows.exclude(action__startswith=prefix)
    word = query.strip().replace("\x00", "")
    if word:
        rows = rows.filter(Q(actor_label__icontains=word) | Q(target__icontains=word) | Q(action__icontains=word))
    if since is not None:
        rows = rows.filter(at__gte=since)
    if before is not None:
        rows = rows.filter(at__lt=before)
    return rows
