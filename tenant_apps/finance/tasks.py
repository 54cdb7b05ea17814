"""Work of the background: statements."""

from __future__ import annotations

from kameng.jobs.registry import periodic
from tenant_apps.finance import sync


@periodic("finance.sync_statements")
def sync_statements() -> None:
    sync.sync_due()
