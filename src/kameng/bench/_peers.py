"""How the programs that a bench compares with reach their databases: with a backend as it comes, as its owner."""

from __future__ import annotations

import os
from typing import Any

from psycopg2.extensions import parse_dsn


def stock_database(engine: str) -> dict[str, Any]:
    """Django's entry for the database that DATABASE_OWNER_URL names, with the backend `engine`."""
    parts = parse_dsn(os.environ["DATABASE_OWNER_URL"])
    return {
        "ENGINE": engine,
        "NAME": parts["dbname"],
        "USER": parts["user"],
        "PASSWORD": parts["password"],
        "HOST": parts["host"],
        "PORT": parts["port"],
    }
