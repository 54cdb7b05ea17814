"""Ready for a shard per schema: the rules hold in the catalogue, and each is seen to fail on something planted."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections, transaction

from kameng.db.backend.base import Scope
from kameng.db.context import in_main, in_substation, in_sync
from tests.isolation import sharding

# What is planted, the rule that must tell, and what it must name. {one} and {two} are two shops' schemas.
PLANTED = {
    "a key from a shop to a shared table": (
        "ALTER TABLE {one}.orders_order ADD COLUMN planted bigint REFERENCES public.tenants_substation",
        "no foreign key leaves its schema", "{one}.orders_order.orders_order_planted_fkey -> public.tenants_substation"),
    "a key from a shop to another": (
        "ALTER TABLE {one}.orders_order ADD COLUMN planted bigint REFERENCES {two}.orders_order",
        "no foreign key leaves its schema", "{one}.orders_order.orders_order_planted_fkey -> {two}.orders_order"),
    "a key from a shared table to a shop": (
        "ALTER TABLE public.tenants_plan ADD COLUMN planted bigint REFERENCES {one}.orders_order",
        "no foreign key leaves its schema", "public.tenants_plan.tenants_plan_planted_fkey -> {one}.orders_order"),
    "a table without a primary key": (
        "CREATE TABLE {one}.planted (name text)", "every table has a primary key", "{one}.planted"),
    "a small id": (
        "CREATE TABLE {one}.planted (id serial PRIMARY KEY)", "ids are bigint", "{one}.planted.id"),
    "a small reference": (
        "ALTER TABLE {one}.orders_order ADD COLUMN planted_id int", "ids are bigint", "{one}.orders_order.planted_id"),
    "a trigger": (
        "CREATE TRIGGER planted BEFORE INSERT ON {one}.orders_order FOR EACH ROW EXECUTE FUNCTION public.stamp_change()",
        "no trigger and no rule on a tenant's table", "{one}.orders_order.planted"),
    "a rule": (
        "CREATE RULE planted AS ON DELETE TO {one}.orders_order DO INSTEAD NOTHING",
        "no trigger and no rule on a tenant's table", "{one}.orders_order.planted"),
    "a view": (
        "CREATE VIEW {one}.planted AS SELECT 1 AS id", "a tenant's schema holds tables and their numbers alone",
        "{one}.planted"),
    "a function": (
        "CREATE FUNCTION {one}.planted() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "a tenant's schema holds tables and their numbers alone", "{one}.planted()"),
    "numbers of another schema": (
        "ALTER TABLE {one}.orders_order ADD COLUMN planted bigint DEFAULT nextval('public.substation_schema_serial')",
        "a tenant's numbers come from its own schema", "{one}.orders_order.planted"),
    "a change of the ledger behind a door of the gate": (
        "CREATE FUNCTION gate.planted() RETURNS void LANGUAGE sql AS 'UPDATE public.ledger_entry SET amount_minor = 0'",
        "a tenant's way into the ledger inserts", "planted: UPDATE public.ledger_entry"),
    "a change of the ledger in a function of no keeper's": (
        "CREATE FUNCTION public.planted() RETURNS void LANGUAGE sql AS 'DELETE FROM ledger_entry'",
        "a tenant's way into the ledger inserts", "planted: DELETE FROM ledger_entry"),
    "a door of the gate to a keeper of the ledger": (
        "CREATE FUNCTION gate.planted() RETURNS bigint LANGUAGE sql AS 'SELECT public.ledger_rebase()'",
        "a tenant's way into the ledger inserts", "planted: ledger_rebase"),
}  # fmt: skip


class TestTheCatalogue:
    @pytest.mark.parametrize("rule", sorted(sharding.RULES))
    def test_holds(self, alice: Any, bob: Any, rule: str) -> None:
        assert sharding.RULES[rule]() == []

    @pytest.mark.parametrize("name", sorted(PLANTED))
    def test_is_seen_to_break(self, alice: Any, bob: Any, name: str) -> None:
        names = {"one": alice.schema_name, "two": bob.schema_name}
        statement, rule, told = (text.format(**names) for text in PLANTED[name])
        with transaction.atomic(using=settings.OWNER_ALIAS):
            with connections[settings.OWNER_ALIAS].cursor() as cursor:
                cursor.execute(statement)
            found = sharding.RULES[rule]()
            transaction.set_rollback(True, using=settings.OWNER_ALIAS)

        assert told in found
        assert sharding.RULES[rule]() == []

    def test_breaks_under_a_rule_for_each(self) -> None:
        assert {rule for _statement, rule, _told in PLANTED.values()} == set(sharding.RULES)


SHOP, MAIN, SYNC = Scope("s_0000001", "s_0000001"), Scope("kameng_main", "public"), Scope("kameng_sync", "s_0000001")


class TestStatements:
    @pytest.mark.parametrize(
        ("scope", "sql", "named"),
        [
            (SHOP, "SELECT * FROM orders_order JOIN s_0000002.orders_order USING (id)", "s_0000002"),
            (SHOP, 'SELECT * FROM orders_order o JOIN "s_0000002"."orders_order" p ON true', "s_0000002"),
            (SHOP, "SELECT * FROM orders_order JOIN public.library_sku s ON true", "public"),
            (MAIN, "SELECT * FROM tenants_substation JOIN s_0000002.shop_shopsettings ON true", "s_0000002"),
            (SYNC, "INSERT INTO listings_listing SELECT * FROM s_0000002.listings_listing", "s_0000002"),
            (MAIN, "SELECT 1 FROM s_0000002 . orders_order", "s_0000002"),
        ],
    )
    def test_that_reach_into_another_schema_are_named(self, scope: Scope, sql: str, named: str) -> None:
        assert sharding.crossing(scope, sql).startswith(f"from {scope.schema} into {named}: ")

    @pytest.mark.parametrize(
        ("scope", "sql"),
        [
            (SHOP, "SELECT * FROM orders_order"),
            (SHOP, "SELECT * FROM s_0000001.orders_order"),
            (SHOP, "SELECT gate.place_order(%s)"),
            (SHOP, "SELECT 'public.library_sku', 's_0000002.orders_order'"),
            (MAIN, "SELECT public.ledger_balance_minor(id) FROM public.ledger_account"),
            (SYNC, "INSERT INTO listings_listing SELECT * FROM public.library_sku"),
        ],
    )
    def test_that_stay_at_home_are_not(self, scope: Scope, sql: str) -> None:
        assert sharding.crossing(scope, sql) == ""

    def test_of_the_whole_suite_are_looked_at(self, alice: Any, bob: Any) -> None:
        """A statement that crosses is noted wherever it is sent; `tests/conftest.py` fails the test that sent it."""
        seen = len(sharding.crossings)
        with in_main(), connection.cursor() as cursor, pytest.raises(Exception, match="permission denied"):
            cursor.execute(f'SELECT 1 FROM "{bob.schema_name}".orders_order')
        for scope in (in_main(), in_substation(alice), in_sync(alice)):
            with scope, connection.cursor() as cursor:
                cursor.execute("SELECT 1")

        assert [told.partition(":")[0] for told in sharding.crossings[seen:]] == [f"from public into {bob.schema_name}"]
        del sharding.crossings[seen:]

    def test_of_the_owner_are_looked_at_too(self, alice: Any, bob: Any) -> None:
        seen = len(sharding.crossings)
        owner = connections[settings.OWNER_ALIAS]
        with owner.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {alice.schema_name}.orders_order")
            assert sharding.crossings[seen:] == []
            cursor.execute(f"SELECT 1 FROM {alice.schema_name}.orders_order, {bob.schema_name}.orders_order")

        told = f"from the owner into {', '.join(sorted((alice.schema_name, bob.schema_name)))}"
        assert [one.partition(":")[0] for one in sharding.crossings[seen:]] == [told]
        del sharding.crossings[seen:]
