"""The main station's own people, trail, jobs and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from kameng.accounts.models import ApiToken, AuditRecord, User, of_choice
from kameng.jobs.models import Job, JobState


def audit(
    *,
    query: str = "",
    meaning: Sequence[str] = (),
    action: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[AuditRecord]:
    """Acts on the main station, newest first; `query` is a part of a person, an object, a deed or an address;
    `meaning` are deeds whose words hold it."""
    rows = AuditRecord.objects.all()
    matching = Q()
    for word in query.split():
        matching &= Q(actor_label__icontains=word) | Q(target__icontains=word) | Q(action__icontains=word) | Q(ip=word)
    rows = rows.filter(matching | Q(action__in=meaning)) if meaning else rows.filter(matching)
    if action:
        rows = rows.filter(action=action)
    if since is not None:
        rows = rows.filter(at__gte=since)
    return rows if until is None else rows.filter(at__lt=until)


def jobs(*, query: str = "", state: str = "", kinds: Sequence[str] = ()) -> QuerySet[Job]:
    """Background jobs of the main station and of every shop; `query`: parts of a kind, or a schema's name; jobs of
    one of `kinds` match whatever the query is."""
    matching = Q()
    for word in query.split():
        matching &= Q(kind__icontains=word) | Q(schema_name=word)
    rows = Job.objects.filter(matching | Q(kind__in=kinds)) if kinds else Job.objects.filter(matching)
    return rows.filter(state=state) if state else rows


def job_counts() -> dict[str, int]:
    return dict(Job.objects.order_by().values_list("state").annotate(count=Count("pk")))


def tokens(*, query: str = "") -> QuerySet[ApiToken]:
    """Tokens of the main station with their people; the secrets are not kept. `query`: parts of a name or a person."""
    rows = ApiToken.objects.select_related("user").defer("digest")
    for word in query.split():
        rows = rows.filter(
            Q(name__icontains=word) | Q(user__email__icontains=word) | Q(user__name__icontains=word) | Q(prefix=word)
        )
    return rows


def people(*, query: str = "", role: str = "") -> QuerySet[User]:
    """Everybody with a log-in to the main station; `query`: parts of a name or a mail."""
    rows = User.objects.select_related("own_role")
    for word in query.split():
        rows = rows.filter(Q(name__icontains=word) | Q(email__icontains=word))
    return rows.filter(of_choice(role)) if role else rows


def job_under_way(kind: str) -> Job | None:
    """The newest job of a kind that waits or runs."""
    return Job.objects.filter(kind=kind, state__in=(JobState.PENDING, JobState.RUNNING)).first()


def trail_of(target: str, limit: int) -> list[AuditRecord]:
    """What people did to one thing, newest first."""
    return list(AuditRecord.objects.filter(target=target)[:limit])
