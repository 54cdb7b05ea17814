"""Jobs wait in the shared schema, so that one sweep sees all substations'."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class JobState(models.TextChoices):
    PENDING = "PENDING"  # Waits for its time, or for its next try.
    RUNNING = "RUNNING"  # Claimed by a worker until `locked_until`.
    DONE = "DONE"
    FAILED = "FAILED"  # Gave up; a person may set it going again.


class Job(models.Model):
    """One piece of work: a task's name, its substation (empty: the main station) and its arguments."""

    kind = models.CharField(max_length=80)
    schema_name = models.CharField(max_length=63, blank=True, default="")
    payload = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=JobState.choices, default=JobState.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=12)
    run_at = models.DateTimeField()
    locked_until = models.DateTimeField(null=True)
    # While a job with this key waits, the same wish is not queued twice.
    dedupe_key = models.CharField(max_length=120, blank=True, default="")
    last_error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("kind", "schema_name", "dedupe_key"),
                condition=Q(state="PENDING") & ~Q(dedupe_key=""),
                name="job_waits_once",
            ),
        )
        indexes = (
            models.Index(fields=("run_at",), condition=Q(state="PENDING"), name="job_due"),
            models.Index(fields=("locked_until",), condition=Q(state="RUNNING"), name="job_running"),
        )

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"
