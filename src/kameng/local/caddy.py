"""Where the proxy's program is: an installed `caddy`, else the one that the tools' wheel brings."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from kameng.local.errors import LocalError


def binary() -> Path:
    """The program. Raises LocalError when there is neither an installed one nor the wheel's."""
    beside = Path(sys.executable).parent / "caddy"  # Where pip puts a wheel's scripts.
    installed = shutil.which("caddy")
    if installed:
        return Path(installed)
    if beside.is_file():
        return beside
    raise LocalError("There is no caddy: run `make setup`, or install your system's package.")
