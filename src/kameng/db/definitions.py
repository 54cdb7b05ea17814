"""Functions, triggers and views that are defined anew at every `kameng db prepare`, after the migrations.

A migration that carries a function's text can't be read beside the next one; a definition file is always the
whole present truth. Each file must be safe to repeat (`CREATE OR REPLACE`, `DROP … IF EXISTS`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.apps import apps


def files() -> list[Path]:
    """Every installed app's `sql/definitions/*.sql`, in the order of the apps and then of the names."""
    found: list[Path] = []
    for config in apps.get_app_configs():
        found += sorted(Path(config.path, "sql", "definitions").glob("*.sql"))
    return found


def apply(cursor: Any) -> list[str]:
    """Run them all as the owner; returns the names."""
    done = []
    for path in files():
        cursor.execute(path.read_text(encoding="utf-8"))
        done.append(path.name)
    return done
