"""A schema editor that does what Django's does and keeps what it sent.

Recorded at the real run on the template, not rendered beside it: what Django looks up on the way (the name of a
constraint that is to go) is found as it is at that moment, and every schema gets what the template got.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.schema import DatabaseSchemaEditor


class RecordingEditor(DatabaseSchemaEditor):
    """Answers for one migration; `recorded` holds its statements with their values in them, in order."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection, atomic=True)
        self.recorded: list[str] = []

    def execute(self, sql: Any, params: Any = ()) -> None:
        text = str(sql) if params is None else self.connection.ops.compose_sql(str(sql), params)
        super().execute(text, None)
        self.recorded.append(text.strip().rstrip(";"))
