"""Work of the background: imports."""

from __future__ import annotations

from kameng.jobs.registry import job
from kameng.lib import clock
from shared_apps.library import services


@job("library.import_run", tenant=False)
def import_run(*, run: str, **_: object) -> None:
    services.execute_run(run=run, now=clock.utc_now())


@job("library.import_terms", tenant=False)
def import_terms(*, run: str, **_: object) -> None:
    services.execute_terms_run(run=run, now=clock.utc_now())
