"""Every table, column, sequence, function, schema and role: what each role can do, against the written matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import connections, transaction

from tests.isolation import rights


def compared(shop: Any, neighbour: Any) -> tuple[list[str], list[str]]:
    """What the database has and the matrix does not; what the matrix has and the database does not."""
    found, written = rights.found(shop.schema_name, neighbour.schema_name), rights.written()
    return sorted(found - written), sorted(written - found)


class TestTheMatrix:
    def test_is_what_the_database_says(self, alice: Any, bob: Any) -> None:
        """A new table, column right or function is a line in tests/isolation/matrix.txt, written after thinking."""
        unwritten, gone = compared(alice, bob)

        assert (unwritten, gone) == ([], [])

    def test_is_the_same_for_each_shop(self, alice: Any, bob: Any) -> None:
        assert rights.found(bob.schema_name, alice.schema_name) == rights.found(alice.schema_name, bob.schema_name)

    def test_is_the_same_for_every_schema_and_gives_nobody_the_template(self, alice: Any) -> None:
        assert rights.unlike(alice.schema_name) == []

    @pytest.mark.parametrize(
        ("opened", "told"),
        [
            ("GRANT DELETE ON {third}.accounts_auditrecord TO {third}", "{third}: shop DELETE on accounts_auditrecord"),
            ("REVOKE INSERT ON {third}.orders_order FROM {third}", "{third}: shop INSERT on orders_order"),
            (
                "GRANT SELECT (number) ON {third}.orders_order TO PUBLIC",
                "{third}: public SELECT on orders_order.number",
            ),
            ("GRANT USAGE ON SCHEMA {third} TO kameng_main", "{third}: kameng_main USAGE on the schema"),
            ("GRANT USAGE ON SCHEMA {template} TO kameng_tenant", "{template}: kameng_tenant USAGE on the schema"),
            (
                "GRANT INSERT ON {template}.shop_shopsettings TO PUBLIC",
                "{template}: public INSERT on shop_shopsettings",
            ),
        ],
        ids=["a trail", "a right too few", "a column", "a schema", "the template", "a table of the template"],
    )
    def test_tells_what_was_opened_in_any_other_schema(
        self, alice: Any, make_shop: Callable[..., Any], opened: str, told: str
    ) -> None:
        names = {"third": make_shop().schema_name, "template": "template_substation"}
        with transaction.atomic(using=settings.OWNER_ALIAS):
            with connections[settings.OWNER_ALIAS].cursor() as cursor:
                cursor.execute(opened.format(**names))
            found = rights.unlike(alice.schema_name)
            transaction.set_rollback(True, using=settings.OWNER_ALIAS)

        assert told.format(**names) in found

    def test_gives_a_neighbour_nothing_that_is_the_shops(self) -> None:
        assert [line for line in rights.written() if " shop." in line and "neighbour" in line] == []

    def test_gives_the_log_in_no_right_at_all_and_lets_it_become_others(self) -> None:
        lines = [line for line in rights.written() if "kameng_app=" in line]

        assert lines == [
            line
            for line in lines
            if line.startswith(("database ", "schema pg_catalog", "schema information_schema", "language "))
        ]
        assert "member kameng_app of shop may-become" in rights.written()

    @pytest.mark.parametrize(
        ("opened", "told"),
        [
            ("CREATE TABLE public.forgotten (id bigint PRIMARY KEY)", "table public.forgotten nobody"),
            ("GRANT SELECT ON public.jobs_job TO kameng_tenant", "table public.jobs_job kameng_main"),
            ("GRANT UPDATE (supply_unit) ON {shop}.listings_listing TO {shop}", "table shop.listings_listing"),
            ("GRANT SELECT ON {shop}.orders_order TO {neighbour}", "table shop.orders_order"),
            ("GRANT USAGE ON SCHEMA {shop} TO PUBLIC", "schema shop"),
            ("CREATE FUNCTION gate.more() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function gate.more()"),
            ("GRANT kameng_main TO {shop}", "member shop of kameng_main"),
        ],
        ids=[
            "a new table",
            "a grant to every shop",
            "a column",
            "a neighbour",
            "everybody",
            "a function",
            "a membership",
        ],
    )
    def test_tells_by_name_what_was_opened(self, alice: Any, bob: Any, opened: str, told: str) -> None:
        names = {"shop": f'"{alice.schema_name}"', "neighbour": f'"{bob.schema_name}"'}
        with transaction.atomic(using=settings.OWNER_ALIAS):
            with connections[settings.OWNER_ALIAS].cursor() as cursor:
                cursor.execute(opened.format(**names))
            unwritten, _gone = compared(alice, bob)
            transaction.set_rollback(True, using=settings.OWNER_ALIAS)

        assert [line for line in unwritten if line.startswith(told)]
