"""Behind PgBouncer in transaction pooling, with fewer connections than threads: our backend, and one without its guard.

The work is fixed and nothing is timed. Each of 16 threads goes from shop to shop at random and says at each step which
shop it means; every answer and, in the end, every row is held against that.
"""

from __future__ import annotations

import os
import random
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from django.db import DataError, InterfaceError, ProgrammingError, connections
from django_tenants.postgresql_backend.base import DatabaseWrapper as StockBackend

from kameng.accounts import audit
from kameng.accounts.types import SYSTEM
from kameng.db.backend.base import DatabaseWrapper
from kameng.db.context import in_substation
from kameng.local import pooler as pooling
from kameng.local.pooler import Pooler
from tenant_apps.shop.models import ShopSettings

SHOPS, THREADS, POOL, STEPS = 8, 16, 3, 10_000
ENOUGH = 100  # Leaks that the unguarded backend must show; then it need not go on.
ACTION = "pooler.written"


@pytest.fixture(scope="module")
def shops(make_shop: Callable[..., Any]) -> list[Any]:
    """Eight shops, each with its schema for a name."""
    made = [make_shop() for _ in range(SHOPS)]
    for shop in made:
        with in_substation(shop):
            ShopSettings.objects.update(name=shop.schema_name)
    return made


@pytest.fixture
def pooler(shops: list[Any]) -> Iterator[Pooler]:
    """Each test's own: what an unguarded one leaves on the connections is nobody else's."""
    urls = [os.environ[name] for name in ("DATABASE_URL", "DATABASE_OWNER_URL")]
    with tempfile.TemporaryDirectory(prefix="kameng-pooler-") as folder, Pooler(Path(folder), urls, POOL) as running:
        yield running


def _connected(backend: Any, url: str, **settings: Any) -> Any:
    """A connection of Django's through `url`, by `backend`."""
    parts = urlsplit(url)
    own = connections["default"].settings_dict
    return backend(
        {**own, "NAME": parts.path[1:], "USER": parts.username, "PASSWORD": unquote(parts.password or ""),
         "HOST": parts.hostname, "PORT": str(parts.port), "CONN_MAX_AGE": None, **settings},
        alias="default",
    )  # fmt: skip


def _in_threads(work: Callable[[int], None]) -> None:
    """Run `work(number)` in each thread to its end; the first error of any is raised."""
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class TestOurBackend:
    def test_reads_and_writes_ten_thousand_times_and_never_at_another_shop(
        self, pooler: Pooler, shops: list[Any], record_property: Callable[[str, object], None]
    ) -> None:
        wrong: list[str] = []
        written: Counter[str] = Counter()
        lock = threading.Lock()

        def work(number: int) -> None:
            lots = random.Random(number)
            wrapper = _connected(DatabaseWrapper, pooler.url(os.environ["DATABASE_URL"]))
            connections["default"] = wrapper  # Of this thread alone.
            mine: Counter[str] = Counter()
            try:
                for step in range(STEPS // THREADS):
                    shop = lots.choice(shops)
                    with in_substation(shop):
                        read = _name(wrapper)
                        if step % 4 == 0:
                            audit.record(action=ACTION, by=SYSTEM, target=shop.schema_name)
                            mine[shop.schema_name] += 1
                    if read != shop.schema_name:
                        wrong.append(f"{shop.schema_name} read {read}")
            finally:
                wrapper.close()
            with lock:
                written.update(mine)

        _in_threads(work)

        assert wrong == []
        assert _written(shops) == {shop.schema_name: {shop.schema_name: written[shop.schema_name]} for shop in shops}
        assert written.total() == THREADS * len(range(0, STEPS // THREADS, 4))
        record_property("behind_pgbouncer", f"guard on: {STEPS:,} steps, 0 wrong ({pooling.version()})")

    def test_leaves_nothing_on_a_connection_that_failed_in_the_middle(self, pooler: Pooler, shops: list[Any]) -> None:
        """An error, a connection dropped in a transaction: whoever gets the server's connection next is nobody."""
        app = pooler.url(os.environ["DATABASE_URL"])

        def work(number: int) -> None:
            for step in range(20):
                wrapper = _connected(DatabaseWrapper, app)
                connections["default"] = wrapper
                shop = shops[(number + step) % SHOPS]
                with pytest.raises((DataError, InterfaceError, ZeroDivisionError)), in_substation(shop):
                    assert _name(wrapper) == shop.schema_name
                    if step % 2:
                        wrapper.connection.close()  # The client is gone; PgBouncer has the transaction.
                        raise ZeroDivisionError
                    with wrapper.cursor() as cursor:
                        cursor.execute("SELECT 1 / 0")
                wrapper.close()
            raw = _connected(DatabaseWrapper, app)
            raw.ensure_connection()
            with raw.connection.cursor() as cursor:
                cursor.execute("SELECT current_user, current_setting('search_path')")
                assert cursor.fetchone() == ("kameng_app", '"$user", public')
            raw.close()

        _in_threads(work)


class TestWithoutItsGuard:
    """The same steps with what ours sets for a transaction set for the session: they must go wrong, or the test above would
    prove nothing."""

    def test_a_role_is_another_shops(
        self, pooler: Pooler, shops: list[Any], record_property: Callable[[str, object], None]
    ) -> None:
        """No PgBouncer carries a role from one connection to the next."""

        def step(wrapper: Any, shop: Any) -> str:
            with wrapper.cursor() as cursor:
                cursor.execute(f'SET ROLE "{shop.schema_name}"')
                cursor.execute("SELECT current_user")
                return str(cursor.fetchone()[0])

        steps, wrong, lost = _unguarded(step, pooler.url(os.environ["DATABASE_URL"]), shops)

        assert wrong >= ENOUGH
        assert lost == 0
        record_property("behind_pgbouncer", f"guard off: {wrong:,} of {steps:,} steps had another shop's role")

    def test_a_row_is_another_shops_unless_pgbouncer_carries_the_search_path(
        self, pooler: Pooler, shops: list[Any], record_property: Callable[[str, object], None]
    ) -> None:
        """By django-tenants' own backend. From 1.26 PgBouncer follows what PostgreSQL 18 reports of a search_path."""

        def step(wrapper: Any, shop: Any) -> str:
            wrapper.set_tenant(shop, include_public=False)
            return _name(wrapper)

        steps, wrong, lost = _unguarded(step, pooler.url(os.environ["DATABASE_OWNER_URL"]), shops)

        if pooling.version_number() >= (1, 26):
            assert (wrong, lost) == (0, 0)
        else:
            assert wrong >= ENOUGH
        said = f"guard off: {wrong:,} of {steps:,} steps read another shop's row, {lost:,} found no table"
        record_property("behind_pgbouncer", said)


def _unguarded(step: Callable[[Any, Any], str], url: str, shops: list[Any]) -> tuple[int, int, int]:
    """Take the steps with django-tenants' own backend: how many, how many answered another shop's schema, and how many
    found no table (the SET went to another connection). Ends early where enough went wrong."""
    wrong: list[str] = []
    lost: list[str] = []
    steps: list[int] = []

    def work(number: int) -> None:
        lots = random.Random(number)
        wrapper = _connected(StockBackend, url)
        try:
            for _step in range(STEPS // THREADS):
                shop = lots.choice(shops)
                steps.append(1)
                try:
                    read = step(wrapper, shop)
                except ProgrammingError:
                    lost.append(shop.schema_name)
                    continue
                if read != shop.schema_name:
                    wrong.append(f"{shop.schema_name} read {read}")
                if len(wrong) >= ENOUGH:
                    return
        finally:
            wrapper.close()

    _in_threads(work)
    return len(steps), len(wrong), len(lost)


def _name(wrapper: Any) -> str:
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT name FROM shop_shopsettings WHERE id = 1")
        return str(cursor.fetchone()[0])


def _written(shops: list[Any]) -> dict[str, dict[str, int]]:
    """Schema → what the rows in it say that they were written for, and how many of each."""
    found = {}
    with connections["owner"].cursor() as cursor:
        for shop in shops:
            cursor.execute(
                f'SELECT target, count(*) FROM "{shop.schema_name}".accounts_auditrecord WHERE action = %s GROUP BY 1',
                [ACTION],
            )
            found[shop.schema_name] = dict(cursor.fetchall())
    return found
