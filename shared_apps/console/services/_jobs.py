"""Jobs that gave up, set going again."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.jobs import services as jobs
from kameng.jobs.models import Job, JobState
from kameng.lib.errors import Refused


class JobRefused(Refused):
    """Only a job that gave up can be set going again."""

    code = "job_not_failed"


def retry_job(*, job_id: int, by: Actor, now: datetime) -> None:
    """Set a job that gave up going again. Raises: JobRefused."""
    with transaction.atomic():
        # Race: two people press at once. The lock lets the second one see that it runs already.
        row = Job.objects.select_for_update().filter(pk=job_id, state=JobState.FAILED).first()
        if row is None:
            raise JobRefused(_("This job has not given up, or is not there. Nothing was changed."))
        jobs.retry(job_id)
        audit.record(action="console.job.retried", by=by, target=f"{row.kind} #{row.pk}", at=now)
