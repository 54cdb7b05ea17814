"""Celery: two tasks that wake the job table, and one per piece of periodic work.

A task that belongs to a substation finds it in its job's row; a row without one is refused (jobs.services.run).
"""

from __future__ import annotations

import os
from typing import Any

import structlog
from celery import Celery
from celery.signals import task_postrun, worker_init, worker_process_init
from kombu.exceptions import OperationalError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kameng.settings")

app = Celery("kameng")
app.config_from_object("django.conf:settings", namespace="CELERY")
log = structlog.get_logger("celery")


def wake(job_id: int) -> None:
    """Ask a worker to look at a job now. A broker that is away costs the sweep's delay and nothing else."""
    try:
        run_job.apply_async(args=[job_id], retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("celery.broker.away", error=str(error)[:200])


@app.task(name="jobs.run")
def run_job(job_id: int, **_: Any) -> None:
    """Run one job of the table."""
    from kameng.jobs import services

    services.run(job_id)


@app.task(name="jobs.sweep")
def sweep(**_: Any) -> None:
    """Find the jobs whose wake-up was lost, and those whose worker died."""
    from kameng.jobs import services
    from kameng.lib import clock

    for job_id in services.due(clock.utc_now()):
        run_job.apply_async(args=[job_id], ignore_result=True)


def _register_periodic() -> None:
    from kameng.jobs import registry

    for name, function in registry.periodic_work().items():

        def call(function: Any = function, **_: Any) -> None:
            from kameng.db.context import MAIN, pointed_at

            with pointed_at(MAIN):
                function()

        app.task(name=name)(call)


@app.on_after_finalize.connect
def _load(sender: Any, **_: Any) -> None:
    import django

    django.setup()
    _register_periodic()


@worker_init.connect
def _try_the_walls(**_: Any) -> None:
    """A worker does no shop's work while a wall between shops is down. Celery logs what a signal's receiver raises and
    goes on; SystemExit ends it."""
    from kameng import selftest

    selftest.require_or_exit()


@worker_process_init.connect
def _fresh_connections(**_: Any) -> None:
    """A forked worker must not share its parent's socket."""
    from django.db import connections

    for connection in connections.all():
        connection.close()


@task_postrun.connect
def _close_old(**_: Any) -> None:
    from django.db import close_old_connections

    close_old_connections()
