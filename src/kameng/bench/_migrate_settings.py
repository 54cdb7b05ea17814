"""The product's settings, and releases that `bench migrate` writes: migrations of the shop app after its own."""

import os
import sys
from pathlib import Path

from kameng.settings import *  # noqa: F403  # The same, and one thing more.

_RELEASES = Path(os.environ["KAMENG_BENCH_RELEASES"])
sys.path.insert(0, str(_RELEASES))
_present = (_RELEASES / "present").read_text(encoding="utf-8") if (_RELEASES / "present").exists() else ""
MIGRATION_MODULES = {"shop": _present} if _present else {}
