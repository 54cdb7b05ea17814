"""Work of the background: counting, and imports of codes."""

from __future__ import annotations

from kameng.jobs.registry import job, periodic
from kameng.lib import clock
from shared_apps.stock import services


@periodic("stock.roll_up")
def roll_up() -> None:
    services.roll_up(now=clock.utc_now())


@periodic("stock.release_expired")
def release_expired() -> None:
    services.release_expired(now=clock.utc_now())


@job("stock.import_run", tenant=False)
def import_run(*, run: str, **_: object) -> None:
    services.execute_run(run=run, now=clock.utc_now())
