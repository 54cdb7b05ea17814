"""Keys of everything outside Postgres begin with the tenant. One helper makes them all."""

from __future__ import annotations

from kameng.db.context import current_schema, require_tenant
from kameng.db.scopes import PUBLIC_SCHEMA


def scoped(*parts: object) -> str:
    """`s_0000042:part:part` for the current schema; the main station's begin with `public`."""
    return ":".join([current_schema(), *map(str, parts)])


def tenant_scoped(*parts: object) -> str:
    """The same, where a substation is meant. Raises NoTenant in the main station's."""
    return ":".join([require_tenant(), *map(str, parts)])


def tenant_key(key: str, key_prefix: str, version: int) -> str:
    """Django's KEY_FUNCTION: sessions, throttles, lock-outs and pages of one shop are nothing in another.

    `global:` opts out, for what belongs to no schema: the host look-up, which comes before the tenant is known. In a
    substation's scope it is a key like any other, so that no shop says which shop a host leads to.
    """
    schema = current_schema()
    if schema == PUBLIC_SCHEMA and key.startswith("global:"):
        schema = "global"
    return f"{key_prefix}:{schema}:{version}:{key}"
