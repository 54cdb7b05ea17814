"""A Postgres of the user's: the app's log-in beside the owner's, and a plain word about what stays open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from kameng.local import external
from kameng.local.errors import LocalError
from kameng.local.postgres import EmbeddedPostgres
from kameng.local.redis import EmbeddedRedis

from .helpers import query

SECRET = "a secret key of the installation"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """Stands for somebody's server."""
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("external"), durable=False)
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture
def hosted(server: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a database whose owner may create roles and is no superuser, on a server open as it comes."""
    conn = psycopg2.connect(server.superuser_url("postgres"))
    conn.autocommit = True
    with conn.cursor() as cursor:
        cursor.execute("DROP OWNED BY kameng_app; DROP ROLE kameng_app")
        cursor.execute("CREATE ROLE hosted LOGIN CREATEROLE PASSWORD 'theirs'")
        cursor.execute("CREATE DATABASE shops OWNER hosted TEMPLATE template0")
        yield server.address.url("hosted", "theirs", "shops")
        cursor.execute("DROP DATABASE shops WITH (FORCE)")
        cursor.execute("DROP ROLE IF EXISTS kameng_app")
        cursor.execute("DROP ROLE hosted")
        cursor.execute("CREATE ROLE kameng_app")
    conn.close()


class TestEnvironment:
    def test_is_empty_without_an_address(self) -> None:
        assert external.database_environment({}, SECRET) == {}

    def test_takes_both_as_they_are(self) -> None:
        given = {"DATABASE_URL": "postgresql://a@h/d", "DATABASE_OWNER_URL": "postgresql://o@h/d"}

        assert external.database_environment(given, SECRET) == given

    def test_takes_one_as_the_owners_and_derives_the_apps(self) -> None:
        owner = "postgresql://me:pass%40word@db.example:5433/shops?sslmode=require"

        environment = external.database_environment({"DATABASE_URL": owner}, SECRET)

        password = external.app_password(SECRET, "shops")
        assert environment == {
            "DATABASE_OWNER_URL": owner,
            "DATABASE_URL": f"postgresql://kameng_app:{password}@db.example:5433/shops?sslmode=require",
        }

    def test_derives_another_password_from_another_key_or_database(self) -> None:
        passwords = {external.app_password(key, name) for key in (SECRET, "other") for name in ("shops", "more")}

        assert len(passwords) == 4

    @pytest.mark.parametrize("url", ["mysql://a@h/d", "postgresql://a@h", "shops", "postgresql://a@h/"])
    def test_refuses_what_is_no_address_of_a_postgres(self, url: str) -> None:
        with pytest.raises(LocalError, match="DATABASE_URL must look like"):
            external.database_environment({"DATABASE_URL": url}, SECRET)


class TestRedis:
    def test_is_left_in_peace_when_it_answers(self, redis_server: EmbeddedRedis) -> None:
        external.check_redis(redis_server.url)

    @pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "http://127.0.0.1:1/", "rubbish"])
    def test_is_refused_when_nothing_answers_there(self, url: str) -> None:
        with pytest.raises(LocalError, match="The Redis that REDIS_URL names does not let us in"):
            external.check_redis(url)

    def test_is_refused_with_another_password(self, redis_server: EmbeddedRedis) -> None:
        with pytest.raises(LocalError, match="invalid username-password pair"):
            external.check_redis(f"redis://:wrong@127.0.0.1:{redis_server.port}/0")


class TestPrepare:
    def test_makes_the_apps_login(self, hosted: str) -> None:
        external.prepare(hosted, SECRET)

        rows = query(external.app_url(hosted, SECRET), "SELECT current_user, current_database()")
        assert rows == [("kameng_app", "shops")]

    def test_lets_the_owner_work_as_the_roles_it_creates(self, hosted: str) -> None:
        external.prepare(hosted, SECRET)

        assert query(hosted, "CREATE ROLE s_9; SET ROLE s_9; SELECT current_user") == [("s_9",)]
        query(hosted, "DROP ROLE s_9")

    def test_says_what_only_a_superuser_can_close(self, hosted: str) -> None:
        (warning,) = external.prepare(hosted, SECRET)

        assert "EXECUTE on pg_catalog.set_config, USAGE on language plpgsql:" in warning
        assert "CREATE on schema public" not in warning
        assert "REVOKE EXECUTE ON FUNCTION pg_catalog.set_config" in warning

    def test_may_be_repeated(self, hosted: str) -> None:
        assert external.prepare(hosted, SECRET) == external.prepare(hosted, SECRET)

    def test_has_nothing_to_say_to_a_superuser(self, hosted: str, server: EmbeddedPostgres) -> None:
        superuser = server.superuser_url("shops")

        assert external.prepare(superuser, SECRET) == []

        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            query(external.app_url(superuser, SECRET), "SELECT set_config('role', 'hosted', true)")

    def test_refuses_an_owner_that_may_not_create_roles(self, hosted: str, server: EmbeddedPostgres) -> None:
        query(server.superuser_dsn, "ALTER ROLE hosted NOCREATEROLE")

        with pytest.raises(LocalError, match="may not create roles"):
            external.prepare(hosted, SECRET)

        assert query(server.superuser_dsn, "SELECT count(*) FROM pg_roles WHERE rolname = 'kameng_app'") == [(0,)]

    def test_refuses_a_server_that_serves_another_network(self, hosted: str, server: EmbeddedPostgres) -> None:
        external.prepare(hosted, SECRET)
        query(server.superuser_url("postgres"), "GRANT CONNECT ON DATABASE kameng TO kameng_app")

        with pytest.raises(LocalError, match="The database kameng on this server belongs to another Kameng"):
            external.prepare(hosted, "a secret key of another installation")

        assert query(external.app_url(hosted, SECRET), "SELECT 1") == [(1,)]
        query(server.superuser_url("postgres"), "REVOKE ALL ON DATABASE kameng FROM kameng_app")

    def test_refuses_a_login_that_somebody_else_made(self, hosted: str, server: EmbeddedPostgres) -> None:
        query(server.superuser_dsn, "CREATE ROLE kameng_app LOGIN PASSWORD 'another'")

        with pytest.raises(LocalError, match="The role kameng_app was made by somebody else"):
            external.prepare(hosted, SECRET)

        assert query(server.address.url("kameng_app", "another", "shops"), "SELECT 1") == [(1,)]

    def test_says_that_the_server_does_not_let_us_in(self, hosted: str, tmp_path: Path) -> None:
        with pytest.raises(LocalError, match="does not let us in"):
            external.prepare(hosted.replace("theirs", "wrong"), SECRET)
