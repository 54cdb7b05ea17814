"""What a tenant migration declares about itself, as attributes of its class.

    class Migration(migrations.Migration):
        contract = "Release 12 was the last to read `colour`."   # old code can't run on a schema after this
        code_runs_without = True                                 # this code runs on a schema before this, too
        allow = {"index": "Drafts: a shop has a few dozen."}     # a finding of the lint, and why it does no harm

None of them is needed for what only adds. The lint (`kameng migrate --lint`) refuses a migration that promises less
or more than its SQL does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.migrations import Migration, RunPython


@dataclass(frozen=True)
class Declared:
    """A migration's own words. `contract` and the values of `allow` are reasons, for a person."""

    contract: str = ""
    code_runs_without: bool = False
    allow: dict[str, str] = field(default_factory=dict)

    @property
    def old_code_runs(self) -> bool:
        return not self.contract


def of(migration: Migration) -> Declared:
    """Read the attributes of a migration's class."""
    own: Any = migration
    return Declared(
        contract=str(getattr(own, "contract", "") or ""),
        code_runs_without=bool(getattr(own, "code_runs_without", False)),
        allow=dict(getattr(own, "allow", {}) or {}),
    )


def name_of(migration: Migration) -> str:
    """As in `orders.0002_add_note`."""
    return f"{migration.app_label}.{migration.name}"


def is_data_migration(migration: Migration) -> bool:
    """Whether Python has to run in every schema."""
    return any(isinstance(operation, RunPython) for operation in migration.operations)


def tenant_labels() -> frozenset[str]:
    """Labels of the apps whose tables stand in every tenant schema."""
    return frozenset(name.rsplit(".", 1)[-1] for name in settings.TENANT_APPS)
