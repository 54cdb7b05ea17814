"""What a visit gave away and what it changed."""

from __future__ import annotations

import io
import os
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from django.conf import settings
from django.core.cache import cache
from django.db import connections

from kameng.db.context import in_substation
from tenant_apps.shop import selectors as shops
from tests.isolation.walk.scene import Scene, Side

# Shared tables that any shop's own business changes and that have no column naming the shop. Of codes, Bob's are watched.
ANYBODYS = {
    # An owner's deeds at the main station are kept there; what is kept about Bob bears his name.
    "accounts_auditrecord": "target = (SELECT public_id FROM public.tenants_substation WHERE id = %(id)s)",
    # The visitors from the main station have sessions there, which say when they were seen.
    "accounts_staffsession": "user_id <> ALL (%(clerks)s)",
    # Of a new shop, or offered to the one that holds its city.
    "regions_lead": "substation_id = %(id)s OR grant_id IN (SELECT id FROM public.regions_regiongrant "
    "WHERE substation_id = %(id)s)",
    "stock_code": "hold_id IN (SELECT id FROM public.stock_hold WHERE substation_id = %(id)s)",
    "stock_stockcount": "false",  # An order of Alice's holds a piece of the shared stock.
    "stock_stocklevel": "false",
    "stock_stockmove": "false",
}


# -- What came back.


def text_of(response: Any) -> str:
    """The whole answer as text: headers, body, and what is packed in a spreadsheet."""
    content = b"".join(response.streaming_content) if response.streaming else response.content
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            content = b"\n".join(packed.read(name) for name in packed.namelist())
    headers = "\n".join(f"{name}: {value}" for name, value in response.items())
    cookies = response.cookies.output()
    return f"{headers}\n{cookies}\n{content.decode('utf-8', 'replace')}"


def given_away(side: Side, sent: str, response: Any, *, at_home: bool) -> list[str]:
    """The names of the shop's marks that stand in an answer and not in what was asked.

    `at_home`: the shop's own host, where what its storefront says to everybody is no secret.
    """
    marks = marks_of(side) if at_home else {**marks_of(side), **side.public_marks}
    said, asked = text_of(response), unquote_plus(sent)
    return [name for name, mark in marks.items() if mark in said and mark not in asked]


def marks_of(side: Side) -> dict[str, str]:
    """What nobody but the shop's own people and buyers may read."""
    numbers = {f"number of the {kind} order": placed.number for kind, placed in side.orders.items()}
    tokens = {f"token of the {kind} order": placed.token for kind, placed in side.orders.items()}
    return {**side.secret_marks, **numbers, **tokens, "key of its programs": side.secret}


# -- What has changed.


def state_of(scene: Scene) -> dict[str, Any]:
    """Every table of Bob's schema, and of the shared one what is about him, or, where a table says nothing of shops, all
    of it; his entries in the cache; his files. Of a table: how many rows, and the youngest transaction that wrote one:
    a row that was added, changed or taken away shows in one of the two, and no row has to be read.
    """
    return {**_tables(scene), **_cache(scene), **_files(scene)}


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What is not as it was. What has run out of the cache by itself is no change."""
    return sorted(
        name
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name) and not (name.startswith("cache ") and name not in after)
    )


def _tables(scene: Scene) -> dict[str, Any]:
    shop = scene.bob.shop
    with connections["owner"].cursor() as cursor:
        clerks = [user.pk for user in scene.clerks.values()]
        cursor.execute(
            _statement(shop.pk, shop.schema_name), {"id": shop.pk, "schema": shop.schema_name, "clerks": clerks}
        )
        return {f"table {name}": (count, youngest) for name, count, youngest in cursor.fetchall()}


@lru_cache
def _statement(shop_id: int, schema: str) -> str:
    """One statement about all tables; the same for a scene, which makes none."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname, c.relname, array(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0) "
            "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname IN ('public', %s)",
            [schema],
        )
        found = cursor.fetchall()
    return " UNION ALL ".join(
        f'SELECT \'{place}.{table}\', count(*), max(xmin::text::bigint) FROM "{place}"."{table}" '
        f"WHERE {'true' if place != 'public' else _about(table, columns)}"
        for place, table, columns in found
    )


def _about(table: str, columns: list[str]) -> str:
    """Which rows of a shared table are watched: Bob's where it says whose they are, else every one."""
    if table in ANYBODYS:
        return ANYBODYS[table]
    for column in ("substation_id", "tenant_id"):
        if column in columns:
            return f"{column} = %(id)s"
    return "schema_name = %(schema)s" if "schema_name" in columns else "true"


def _cache(scene: Scene) -> dict[str, Any]:
    """His entries. They are kept from running out, and what any page or job of his own would read again in a minute is
    read before, so that what appears was written by somebody."""
    with in_substation(scene.bob.shop):
        shops.shop_settings()
    client = cache._cache.get_client(None, write=True)  # type: ignore[attr-defined]
    keys = client.keys(f"kameng:{scene.bob.shop.schema_name}:*")
    for key in keys:
        client.persist(key)
    return {f"cache {key.decode()}": client.get(key) for key in keys}


def cache_keys() -> set[str]:
    """Every key of the cache, whosesoever."""
    client = cache._cache.get_client(None, write=True)  # type: ignore[attr-defined]
    return {key.decode() for key in client.keys("*")}


def _files(scene: Scene) -> dict[str, Any]:
    folder = Path(settings.MEDIA_ROOT) / scene.bob.shop.schema_name
    return {f"file {path.name}": (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def data_files() -> set[str]:
    """Every file of the data folder, by its path below it."""
    found = set()
    for folder, _names, files in os.walk(settings.DATA_DIR):
        found |= {os.path.relpath(os.path.join(folder, name), settings.DATA_DIR) for name in files}
    return found


def strange_keys(fresh: set[str], schema: str) -> list[str]:
    """New keys of the cache that bear neither the schema in which something was done nor, for the look-up of hosts, none."""
    own = (f"kameng:{schema}:", "kameng:global:1:global:host:")
    return [f"the cache has {key}" for key in sorted(fresh) if not key.startswith(own)]


def strange_files(fresh: set[str], schema: str) -> list[str]:
    """New files that don't lie in the folder of a schema."""
    return [f"a file: {name}" for name in sorted(fresh) if not name.startswith(f"files/{schema}/")]
