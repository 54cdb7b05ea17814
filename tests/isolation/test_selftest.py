"""The walls are tried at the start; with any of them down, nothing is served, and the message names it and its cure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner
from django.conf import settings
from django.core.cache import caches
from django.db import DEFAULT_DB_ALIAS, connections

from kameng import selftest
from kameng.cli import main
from kameng.db import guard


@pytest.fixture(scope="module", autouse=True)
def youngest(make_shop: Callable[..., Any]) -> list[Any]:
    """The youngest two schemas, which the self-test takes."""
    return [make_shop(), make_shop()]


@contextmanager
def opened(statement: str, undo: str) -> Iterator[None]:
    """Committed, as whoever serves would find it; and taken back."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(statement)
    try:
        yield
    finally:
        with connections["owner"].cursor() as cursor:
            cursor.execute(undo)


def down() -> dict[str, str]:
    """The walls that are down, with what is said of each."""
    return {one.wall: one.problem for one in selftest.run() if one.problem}


# What was opened, what closes it, which wall names it, and with which words. {shop} and {other} are two shops' schemas.
BREAKS = {
    "a schema to everybody": (
        "GRANT USAGE ON SCHEMA {shop} TO PUBLIC", "REVOKE USAGE ON SCHEMA {shop} FROM PUBLIC",
        "Nobody else enters a shop's schema", "everybody has rights on {shop}"),
    "a schema to a neighbour": (
        "GRANT USAGE ON SCHEMA {shop} TO {other}; GRANT SELECT ON ALL TABLES IN SCHEMA {shop} TO {other}",
        "REVOKE ALL ON ALL TABLES IN SCHEMA {shop} FROM {other}; REVOKE USAGE ON SCHEMA {shop} FROM {other}",
        "A shop sees no other schema", "is not refused (it reads)"),
    "one table to the main station": (
        "GRANT SELECT ON {shop}.orders_order TO kameng_main", "REVOKE SELECT ON {shop}.orders_order FROM kameng_main",
        "Nobody else enters a shop's schema", "kameng_main has rights on {shop}.orders_order"),
    "a shared table to every shop": (
        "GRANT SELECT ON public.jobs_job TO kameng_tenant", "REVOKE SELECT ON public.jobs_job FROM kameng_tenant",
        "The shared schema is closed to shops", "kameng_tenant has rights on jobs_job"),
    "a shared table to everybody": (
        "GRANT SELECT ON public.accounts_user TO PUBLIC", "REVOKE SELECT ON public.accounts_user FROM PUBLIC",
        "The shared schema is closed to shops", "everybody has rights on accounts_user"),
    "the shared schema to a shop": (
        "GRANT USAGE ON SCHEMA public TO {shop}", "REVOKE USAGE ON SCHEMA public FROM {shop}",
        "The shared schema is closed to shops", "{shop} has rights on public"),
    "a shared function to everybody": (
        "GRANT EXECUTE ON FUNCTION ledger_balance_minor(bigint) TO PUBLIC",
        "REVOKE EXECUTE ON FUNCTION ledger_balance_minor(bigint) FROM PUBLIC",
        "The shared schema is closed to shops", "everybody has rights on ledger_balance_minor"),
    "the main station's role to a shop": (
        "GRANT kameng_main TO {shop}", "REVOKE kameng_main FROM {shop}",
        "A shop's role is no more than that", "{shop} may act as kameng_main"),
    "the role of a neighbour": (
        "GRANT {other} TO {shop}", "REVOKE {other} FROM {shop}",
        "A shop's role is no more than that", "{shop} may act as {other}"),
    "the template to a shop": (
        "GRANT USAGE ON SCHEMA template_substation TO {shop}", "REVOKE USAGE ON SCHEMA template_substation FROM {shop}",
        "Nobody else enters a shop's schema", "{shop} has rights on template_substation"),
    "a table of the template to every shop": (
        "GRANT SELECT ON template_substation.orders_order TO kameng_tenant",
        "REVOKE SELECT ON template_substation.orders_order FROM kameng_tenant",
        "Nobody else enters a shop's schema", "kameng_tenant has rights on template_substation.orders_order"),
    "its own trail to a shop": (
        "GRANT DELETE ON {shop}.accounts_auditrecord TO {shop}", "REVOKE DELETE ON {shop}.accounts_auditrecord FROM {shop}",
        "An audit trail is only added to", "{shop} may DELETE {shop}.accounts_auditrecord"),
    "a column of the main station's trail": (
        "GRANT UPDATE (actor_label) ON public.accounts_auditrecord TO kameng_main",
        "REVOKE UPDATE (actor_label) ON public.accounts_auditrecord FROM kameng_main",
        "An audit trail is only added to", "kameng_main may UPDATE public.accounts_auditrecord"),
    "a log-in for a shop": (
        "ALTER ROLE {shop} LOGIN", "ALTER ROLE {shop} NOLOGIN",
        "A shop's role is no more than that", "{shop} may more than a shop's role"),
    "a schema to the log-in itself": (
        "GRANT USAGE ON SCHEMA {shop} TO kameng_app", "REVOKE USAGE ON SCHEMA {shop} FROM kameng_app",
        "The log-in alone reads nothing", "may enter {shop} by itself"),
}  # fmt: skip


class TestTheWalls:
    def test_hold(self, prepared: None) -> None:
        assert down() == {}

    def test_hold_where_there_is_no_shop_yet(self, prepared: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(selftest, "_sample", list)

        assert down() == {}

    @pytest.mark.parametrize("name", sorted(BREAKS))
    def test_are_seen_to_be_down_in_the_database(self, youngest: list[Any], name: str) -> None:
        # The youngest first, as the self-test takes them.
        other, shop = sorted(one.schema_name for one in youngest)
        names = {"shop": shop, "other": other}
        statement, undo, wall, words = (text.format(**names) for text in BREAKS[name])

        with opened(statement, undo):
            found = down()

        assert words in found.get(wall, ""), found
        assert down() == {}

    @pytest.mark.parametrize(
        ("name", "value", "wall"),
        [
            ("SESSION_COOKIE_DOMAIN", ".localhost", "Cookies stay at their host"),
            ("CSRF_COOKIE_DOMAIN", ".localhost", "Cookies stay at their host"),
            ("SESSION_COOKIE_HTTPONLY", False, "Cookies stay at their host"),
        ],
    )
    def test_are_seen_to_be_down_in_the_settings(
        self, prepared: None, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, wall: str
    ) -> None:
        monkeypatch.setattr(settings, name, value)

        assert name in down()[wall]

    def test_a_cache_of_one_key_for_all(self, prepared: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(caches["default"], "key_func", lambda key, prefix, version: f"{prefix}:{version}:{key}")

        assert "two schemas share" in down()["The cache is keyed by shop"]

    def test_a_backend_that_takes_no_role(self, prepared: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connections[DEFAULT_DB_ALIAS], "takes_role", False)

        assert down() == {"A transaction takes a role": "DATABASES['default'] has TAKES_ROLE off"}

    def test_a_backend_of_somebody_elses(self, prepared: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(selftest, "connections", {DEFAULT_DB_ALIAS: object()})

        assert list(down()) == ["A transaction takes a role"]

    def test_a_connection_without_its_wrapper(self, prepared: None, monkeypatch: pytest.MonkeyPatch) -> None:
        wrapper = connections[DEFAULT_DB_ALIAS]
        monkeypatch.setattr(wrapper, "execute_wrappers", [])

        found = down()

        assert "A statement outside a transaction is refused" in found or "A transaction takes a role" in found

    def test_a_guard_that_lets_everything_through(self, prepared: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guard, "check", lambda sql, with_parameters=True: "SELECT")

        assert "SET ROLE kameng_main" in down()["A shop's request sends plain statements alone"]


class TestTheStart:
    """Programs of their own, on this worker's database with one grant too many."""

    GRANT = ("GRANT SELECT ON public.jobs_job TO kameng_tenant", "REVOKE SELECT ON public.jobs_job FROM kameng_tenant")
    SAID = (
        "Kameng does not serve",
        "The shared schema is closed to shops",
        "kameng_tenant has rights on jobs_job",
        "REVOKE",
    )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, env=dict(os.environ), check=False
        )

    def test_of_the_web_is_refused(self, prepared: None) -> None:
        with opened(*self.GRANT):
            ended = self.run("-c", "import kameng.wsgi; print('serves')")

        assert ended.returncode == selftest.EXIT_STATUS
        assert [words for words in self.SAID if words not in ended.stderr] == []
        assert "serves" not in ended.stdout

    def test_of_the_worker_is_refused(self, prepared: None) -> None:
        command = (
            "-m",
            "celery",
            "-A",
            "kameng.celery",
            "worker",
            "--pool=threads",
            "--concurrency=1",
            "--loglevel=ERROR",
        )
        with opened(*self.GRANT):
            ended = self.run(*command)

        assert ended.returncode == selftest.EXIT_STATUS
        assert [words for words in self.SAID if words not in ended.stderr] == []

    def test_of_the_web_goes_on_with_all_walls_up(self, prepared: None) -> None:
        ended = self.run("-c", "import kameng.wsgi; print('serves')")

        assert (ended.returncode, ended.stdout) == (0, "serves\n"), ended.stderr


class TestTheCommand:
    def test_says_of_each_wall_that_it_holds(self, prepared: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kameng.cli.selftest.setup_django", lambda: None)

        said = CliRunner().invoke(main, ["selftest"])

        assert said.exit_code == 0, said.output
        assert [line[:5] for line in said.output.splitlines()[:-1]] == ["holds"] * len(selftest.WALLS)
        assert f"All {len(selftest.WALLS)} walls hold." in said.output

    def test_of_preparing_the_database_ends_with_what_is_down(
        self, prepared: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`kameng run` shows the last lines of this command where it goes no further."""
        monkeypatch.setattr("kameng.cli.db.setup_django", lambda: None)
        with opened(*TestTheStart.GRANT):
            said = CliRunner().invoke(main, ["db", "prepare", "--spares", "0"])

        assert said.exit_code == 1
        assert [words for words in TestTheStart.SAID if words not in said.output] == []
        assert "ready" not in said.output.splitlines()

    def test_names_what_is_down_with_its_cure(self, prepared: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kameng.cli.selftest.setup_django", lambda: None)
        monkeypatch.setattr(settings, "SESSION_COOKIE_DOMAIN", ".localhost")

        said = CliRunner().invoke(main, ["selftest"])

        assert said.exit_code == 1
        assert "DOWN   Cookies stay at their host" in said.output
        assert f"1 of {len(selftest.WALLS)} walls are down" in said.output
