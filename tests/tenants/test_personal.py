"""No column of the shared schema that may hold something of a person's is forgotten when a shop is erased."""

from __future__ import annotations

import re
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections, models

from tenants import personal

# By name, or by a kind that can hold anything.
NAMED = re.compile(
    r"(^|_)(by|name|mail|email|contact|phone|mobile|address|ip|payer|buyer|owner|person|note|reason|text|evidence|label|"
    r"body|headers|memo|details|filename|report|hint|slug|suspended)($|_)"
)
OPEN_KINDS = (models.TextField, models.JSONField, models.EmailField, models.GenericIPAddressField, models.BinaryField)
OURS = ("kameng.", "tenants", "shared_apps.")


def shared_models() -> list[Any]:
    found: list[Any] = []
    for config in apps.get_app_configs():
        if config.name in settings.SHARED_APPS and config.name.startswith(OURS):
            found += config.get_models(include_auto_created=True)
    return found


def personal_looking() -> set[tuple[str, str]]:
    found = set()
    for model in shared_models():
        for field in model._meta.concrete_fields:
            if field.is_relation or getattr(field, "choices", None):
                continue
            textual = isinstance(field, models.CharField | models.TextField | models.JSONField | models.BinaryField)
            if isinstance(field, OPEN_KINDS) or (textual and NAMED.search(field.column)):
                found.add((model._meta.db_table, field.column))
    return found


def decided() -> set[tuple[str, str]]:
    """What `tenants.personal` says something about; a table whose rows go as a whole is decided for all its columns."""
    whole = {rule.table for rule in personal.ERASED if rule.delete} | set(personal.KEPT_TABLES)
    columns = {(rule.table, column) for rule in personal.ERASED for column in rule.columns}
    return columns | set(personal.KEPT) | {pair for pair in personal_looking() if pair[0] in whole}


def test_every_column_that_looks_personal_is_erased_or_kept_for_a_reason() -> None:
    assert sorted(personal_looking() - decided()) == []


def test_nothing_is_listed_that_is_not_there_or_listed_twice() -> None:
    there = {(model._meta.db_table, field.column) for model in shared_models() for field in model._meta.concrete_fields}
    erased = {(rule.table, column) for rule in personal.ERASED for column in rule.columns}

    assert sorted(set(personal.KEPT_TABLES) - {table for table, _column in there}) == []
    assert sorted((erased | set(personal.KEPT)) - there) == []
    assert sorted(erased & set(personal.KEPT)) == []
    assert all(reason.strip() for reason in personal.KEPT.values())


def test_a_new_column_can_t_be_forgotten() -> None:
    """The rule sees what somebody would add: a name, a free text, an address, a bag of anything."""
    for name in ("payer_name", "contact", "phone", "billing_address", "ip", "note", "created_by"):
        assert NAMED.search(name), name
    for name in ("amount_minor", "state", "currency", "sku_code", "public_id", "version"):
        assert not NAMED.search(name), name


def test_each_statement_is_one_that_the_database_takes(prepared: None) -> None:
    with connections["owner"].cursor() as cursor:
        for rule in personal.ERASED:
            cursor.execute(f"EXPLAIN {rule.sql}", {"id": 0, "public_id": "sub_none", "people": []})
