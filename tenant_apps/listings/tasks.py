"""Work of the background: bring the shops up to date."""

from __future__ import annotations

from kameng.jobs.registry import job, periodic
from tenant_apps.listings import sync


@periodic("listings.sync_due")
def sync_due() -> None:
    sync.sync_due()


@job("listings.sync_all", tenant=False)
def sync_all(**_: object) -> None:
    """The library's nudge: somebody changed something just now."""
    sync.sync_due(nudged=True)
