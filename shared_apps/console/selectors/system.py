"""The main station's own trail, jobs and tokens."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Count, Q, QuerySet

from kameng.accounts.models import ApiToken, AuditRecord
from kameng.jobs.models import Job


def audit(
    *, query: str = "", action: str = "", since: datetime | None = None, until: datetime | None = None
) -> QuerySet[AuditRecord]:
    """Acts on the main station, newest first; `query` is a part of a person, an object, a deed or an address."""
    rows = AuditRecord.objects.all()
    for word in query.split():
        rows = rows.filter(
            Q(actor_label__icontains=word) | Q(target__icontains=word) | Q(action__icontains=word) | Q(ip=word)
        )
    if action:
        rows = rows.filter(action=action)
    if since is not None:
        rows = rows.filter(at__gte=since)
    return rows if until is None else rows.filter(at__lt=until)


def jobs(*, query: str = "", state: str = "") -> QuerySet[Job]:
    """Background jobs of the main station and of every shop; `query` is a part of a kind or a schema's name."""
    rows = Job.objects.all()
    for word in query.split():
        rows = rows.filter(Q(kind__icontains=word) | Q(schema_name=word))
    return rows.filter(state=state) if state else rows


def job_counts() -> dict[str, int]:
    return dict(Job.objects.order_by().values_list("state").annotate(count=Count("pk")))


def tokens() -> QuerySet[ApiToken]:
    """All tokens of the main station with their people; the secrets are not kept."""
    return ApiToken.objects.select_related("user").defer("digest")
