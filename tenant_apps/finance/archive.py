"""The shop's statements as its archive holds them: a file an account, each line with the balance after it."""

from __future__ import annotations

from typing import Any

from tenant_apps.finance.types import ACCOUNTS
from tenants.archive.snapshot import Sink, Snapshot
from tenants.archive.writing import Part

_LINES = """COPY (SELECT event_at, kind, reference_type, reference, transfer_public_id AS transfer, currency, amount_minor,
    (sum(amount_minor) OVER (ORDER BY event_at, id))::bigint AS balance_minor
FROM finance_statementline WHERE account = '{account}' ORDER BY event_at, id) TO STDOUT WITH (FORMAT csv, HEADER true)"""


def parts(*, substation: Any, codes_for: Any) -> list[Part]:
    """One of settings.ARCHIVE_PARTS."""
    return [Part(f"statements/{account}.csv", _writer(account)) for account in ACCOUNTS]


def _writer(account: str) -> Any:
    def write(moment: Snapshot, out: Sink) -> int:
        return moment.copy(_LINES.format(account=account), out)

    return write
