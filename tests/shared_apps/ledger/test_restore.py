"""A dump restored onto another server: its transaction ids begin anew, and the ledger must not lose what comes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.conf import settings

from kameng.local import cluster
from kameng.local.postgres import EmbeddedPostgres, binaries
from kameng.local.testing import shared_postgres
from shared_apps.ledger import tasks
from tests.shared_apps.ledger.cast import NOON, POST, account, fresh, post, superuser

pytestmark = pytest.mark.usefixtures("prepared")


@pytest.fixture
def other_server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A new server: its transaction ids are where every new server's are."""
    server = EmbeddedPostgres(tmp_path / "other", durable=False)
    server.start()
    yield server
    server.stop()


def restored(other: EmbeddedPostgres, folder: Path) -> Any:
    """This worker's database, dumped with its roles and restored on `other`; a superuser's session in it."""
    name = str(settings.DATABASES["default"]["NAME"])
    head, _, query = shared_postgres().superuser_url.partition("?")
    source = f"{head.rsplit('/', 1)[0]}/{name}?{query}"
    maintenance = psycopg2.connect(other.superuser_url("postgres"))
    try:
        cluster.create_database(maintenance, name)
    finally:
        maintenance.close()
    target, programs = other.superuser_url(name), binaries()
    roles, dump = folder / "roles.sql", folder / "dump"
    run([programs / "pg_dumpall", "--roles-only", "--no-role-passwords", "-f", roles, "-d", source])
    run([programs / "pg_dump", "-Fc", "-f", dump, source])
    # The log-in roles are there already.
    subprocess.run([programs / "psql", "-q", "-f", roles, target], check=True, capture_output=True, timeout=60)
    run([programs / "pg_restore", "--exit-on-error", "-d", target, dump])
    return psycopg2.connect(target)


def run(command: list[Any]) -> None:
    done = subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def rolled_up(conn: Any) -> None:
    with conn, conn.cursor() as cursor:
        cursor.execute("SELECT public.ledger_roll_up(%s)", [NOON])


class TestRestore:
    def test_refuses_to_post_until_the_count_is_rebased_and_then_loses_nothing(
        self, other_server: EmbeddedPostgres, tmp_path: Path
    ) -> None:
        cash, shop = account("ASSET"), account()
        post((cash, 7), (shop, -7))
        busy = superuser()
        busy.autocommit = True
        with busy.cursor() as cursor:
            # This server is well ahead of a new one, whose count begins anew and grows by what is restored there.
            cursor.execute(
                "DO $$ BEGIN FOR n IN 1 .. (SELECT 3000 + 4 * count(*) FROM pg_class) LOOP "
                "PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
            )
            cursor.execute("SELECT public.ledger_roll_up(%s)", [NOON])
        busy.close()
        tasks.seal_all()

        conn = restored(other_server, tmp_path)

        posting = [fresh("key"), NOON, [cash, shop], [5, -5]]
        for statement, values in ((POST, posting), ("SELECT public.ledger_roll_up(%s)", [NOON]),
                                  ("SELECT public.ledger_seal(%s)", [NOON])):  # fmt: skip
            with pytest.raises(psycopg2.DatabaseError) as refused, conn, conn.cursor() as cursor:
                cursor.execute(statement, values)
            assert refused.value.pgcode == "KG109"

        with conn, conn.cursor() as cursor:
            cursor.execute("SELECT public.ledger_rebase()")
            assert cursor.fetchone()[0] > 0
        with conn, conn.cursor() as cursor:
            cursor.execute(POST, posting)
        rolled_up(conn)
        with conn, conn.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM ledger_block")
            before = cursor.fetchone()[0]
            cursor.execute("SELECT public.ledger_seal(%s)", [NOON])
            assert cursor.fetchone()[0] == before + 1
            cursor.execute(
                "SELECT b.balance_minor FROM ledger_balance b JOIN ledger_account a ON a.id = b.account_id "
                "WHERE a.code = %s",
                [cash],
            )
            assert cursor.fetchone() == (12,)
        conn.close()

    def test_refuses_to_rebase_a_server_that_is_not_behind(self) -> None:
        conn = superuser()
        try:
            with pytest.raises(psycopg2.DatabaseError) as refused, conn, conn.cursor() as cursor:
                cursor.execute("SELECT public.ledger_rebase()")
        finally:
            conn.close()

        assert refused.value.pgcode == "KG115"
