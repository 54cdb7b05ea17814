"""Leave work in the business transaction; claim it; run it; give up in the open.

Truth is the row. The Celery message only says "look now": lose it, and the sweep finds the row seconds later.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import Q

from kameng.db.context import MAIN, SchemaScope, current_schema, in_main, pointed_at
from kameng.db.scopes import PUBLIC_SCHEMA, NoTenant
from kameng.jobs import registry
from kameng.jobs.models import Job, JobState
from kameng.lib import clock

LOCK = timedelta(minutes=10)  # Longer than any handler may take; a dead worker's job is free again after it.
HELD_PAUSE = timedelta(seconds=30)
BACK_OFF_S = (2, 5, 15, 60, 300, 900, 3600)
log = structlog.get_logger("jobs")


def enqueue(*, kind: str, payload: dict[str, Any], run_at: datetime | None = None, dedupe: str = "") -> int | None:
    """Write a job for the current schema, inside the caller's transaction; wake a worker when it commits.

    Answers its id, or None when a job with the same `dedupe` waits already. Raises KeyError for an unknown kind, NoTenant
    and NotATenants where the schema and the kind don't belong together.
    """
    registered = registry.find(kind)
    schema = current_schema()
    if registered.wants_tenant and schema == PUBLIC_SCHEMA:
        raise NoTenant(f"{kind} belongs to a substation, and none is set.")
    if not registered.wants_tenant and schema != PUBLIC_SCHEMA:
        raise registry.NotATenants(f"{kind} is the main station's, and {schema} is set.")
    at = run_at or clock.utc_now()
    with connection.cursor() as cursor:
        if schema == PUBLIC_SCHEMA:
            cursor.execute(
                "INSERT INTO jobs_job (kind, schema_name, payload, state, attempts, max_attempts, run_at, dedupe_key, "
                "last_error, created_at) VALUES (%s, '', %s, 'PENDING', 0, 12, %s, %s, '', now()) "
                "ON CONFLICT (kind, schema_name, dedupe_key) WHERE state = 'PENDING' AND NOT (dedupe_key = '') "
                "DO NOTHING RETURNING id",
                [kind, json.dumps(payload), at, dedupe],
            )
        else:
            cursor.execute("SELECT gate.enqueue(%s, %s, %s, %s)", [kind, json.dumps(payload), at, dedupe])
        row = cursor.fetchone()
    job_id = row[0] if row else None
    if job_id is not None and run_at is None:
        wake_after_commit([job_id])
    return job_id


def wake_after_commit(job_ids: Sequence[int | None]) -> None:
    """Wake a worker for jobs that a statement of the caller's transaction wrote itself (through `gate.enqueue`)."""
    for job_id in job_ids:
        if job_id is not None:
            transaction.on_commit(partial(_wake, job_id))


def _wake(job_id: int) -> None:
    from kameng.celery import wake  # The Celery app imports this module.

    wake(job_id)


def claim(job_id: int, now: datetime) -> Job | None:
    """Take one due job for this worker, or None when it is done, not due or another's.

    Race: two workers woken for one job. The guarded update lets one of them through.
    """
    with in_main():
        claimed = Job.objects.filter(
            Q(state=JobState.PENDING, run_at__lte=now) | Q(state=JobState.RUNNING, locked_until__lt=now), pk=job_id
        ).update(state=JobState.RUNNING, locked_until=now + LOCK)
        return Job.objects.get(pk=job_id) if claimed else None


def due(now: datetime, limit: int = 200) -> list[int]:
    """Ids of jobs that wait for a worker: due ones, and those whose worker died."""
    with in_main():
        rows = Job.objects.filter(
            Q(state=JobState.PENDING, run_at__lte=now) | Q(state=JobState.RUNNING, locked_until__lt=now)
        )
        return list(rows.order_by("run_at").values_list("pk", flat=True)[:limit])


def run(job_id: int) -> bool:
    """Claim and run one job; answers whether it ran. Its failure is written into the row and tried again."""
    job = claim(job_id, clock.utc_now())
    if job is None:
        return False
    if job.schema_name and registry.is_held(job.schema_name):
        _put_back(job)
        return False
    scope = SchemaScope(job.schema_name) if job.schema_name else MAIN
    structlog.contextvars.bind_contextvars(job=job.kind, job_id=job.pk, tenant=job.schema_name)
    try:
        registered = registry.find(job.kind)
        if registered.wants_tenant and not job.schema_name:
            raise NoTenant(f"{job.kind} belongs to a substation, and job {job.pk} names none.")
        if job.schema_name and not registered.wants_tenant:  # A shop's SQL may write any name into a row of its own.
            raise registry.NotATenants(f"{job.kind} is the main station's, and job {job.pk} names {job.schema_name}.")
        with pointed_at(scope):
            registered.handler(**job.payload)
    except (registry.JobNotRetryable, registry.NotATenants, NoTenant, KeyError) as error:
        log.exception("jobs.job.refused")
        _finish(job, JobState.FAILED, error)
    except Exception as error:  # Whatever it was, the row must say so; a person sees it in the console.
        log.exception("jobs.job.failed", attempt=job.attempts + 1)
        gave_up = job.attempts + 1 >= job.max_attempts
        _finish(job, JobState.FAILED if gave_up else JobState.PENDING, error)
    else:
        _finish(job, JobState.DONE, None)
    finally:
        structlog.contextvars.unbind_contextvars("job", "job_id", "tenant")
    return True


def _put_back(job: Job) -> None:
    """Wait a while without counting a try: nothing was wrong with the work."""
    with in_main():
        Job.objects.filter(pk=job.pk, state=JobState.RUNNING).update(
            state=JobState.PENDING, run_at=clock.utc_now() + HELD_PAUSE, locked_until=None, dedupe_key=""
        )


def _finish(job: Job, state: JobState, error: Exception | None) -> None:
    now = clock.utc_now()
    attempts = job.attempts + 1
    changes: dict[str, Any] = {"state": state, "attempts": attempts, "locked_until": None}
    changes["last_error"] = f"{type(error).__name__}: {error}"[:2000] if error else ""
    if state == JobState.PENDING:
        changes["run_at"] = now + timedelta(seconds=BACK_OFF_S[min(attempts, len(BACK_OFF_S)) - 1])
        # A newer job with the same wish may wait already; then this one need not come back.
        changes["dedupe_key"] = ""
    else:
        changes["done_at"] = now
    with in_main():
        Job.objects.filter(pk=job.pk, state=JobState.RUNNING).update(**changes)


def retry(job_id: int) -> None:
    """Set a job that gave up going again."""
    with in_main():
        Job.objects.filter(pk=job_id, state=JobState.FAILED).update(
            state=JobState.PENDING, run_at=clock.utc_now(), attempts=0, done_at=None
        )


def run_all_due(limit: int = 1000) -> int:
    """Run due jobs here and now until none is left; for tests, the command line and a machine without a worker."""
    ran = 0
    while ran < limit:
        ids = due(clock.utc_now())
        if not ids:
            break
        ran += sum(run(job_id) for job_id in ids)
    return ran
