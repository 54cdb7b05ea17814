"""The embedded Postgres: what it is started as, what it survives, what it refuses."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest

from kameng.local import cluster
from kameng.local._processes import account_for, spawn, working_in
from kameng.local.errors import LocalError
from kameng.local.postgres import SUPERUSER, EmbeddedPostgres, binaries

from .helpers import all_gone, can_connect, eventually, family, query, zombie


def _effective_capabilities(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("CapEff")).split()[1], 16)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One for all the tests that only look at what may be done."""
    server = _server(tmp_path_factory.mktemp("rights"))
    server.start()
    yield server
    server.stop()


def _server(data: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(data, durable=False)


def _serve(folder: Path) -> subprocess.Popen[str]:
    """A launcher in a process of its own; returns when both its servers answer."""
    child = subprocess.Popen(
        [sys.executable, "-m", "kameng.local.serve", str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline().startswith("Up:")
    return child


class TestStart:
    def test_makes_a_utf8_cluster_with_checksums_and_the_builtin_locale(self, postgres: EmbeddedPostgres) -> None:
        rows = query(
            postgres.owner_url,
            "SELECT pg_encoding_to_char(encoding), datlocprovider, datlocale, pg_get_userbyid(datdba),"
            " current_setting('data_checksums'), current_setting('server_version_num')::int / 10000"
            " FROM pg_database WHERE datname = 'kameng'",
        )

        assert rows == [("UTF8", "b", "C.UTF-8", "kameng_owner", "on", 18)]

    def test_writes_to_disk_unless_told_otherwise(self, tmp_path: Path) -> None:
        server = EmbeddedPostgres(tmp_path)
        server.start()
        try:
            assert query(server.owner_url, "SHOW fsync") == [("on",)]
            assert query(server.owner_url, "SHOW synchronous_commit") == [("on",)]
            assert query(server.owner_url, "SHOW full_page_writes") == [("on",)]
        finally:
            server.stop()

    def test_never_runs_as_root_even_in_a_folder_that_only_root_may_enter(self, tmp_path: Path) -> None:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        server = _server(closed / "data")

        server.start()

        try:
            assert server.pid is not None
            assert psutil.Process(server.pid).uids().effective != 0
            assert stat.S_IMODE(closed.stat().st_mode) == 0o700
            assert query(server.app_url, "SELECT current_user") == [("kameng_app",)]
        finally:
            server.stop()

    def test_keeps_no_capability_where_every_folder_is_open(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)

            account = account_for(Path(folder) / "cluster", reaches=(Path(folder) / "cluster",))

        assert account.capability is None

    def test_keeps_at_most_the_right_to_pass_through_folders(self, postgres: EmbeddedPostgres) -> None:
        assert postgres.pid is not None

        # CAP_DAC_OVERRIDE (bit 1) or CAP_DAC_READ_SEARCH (bit 2), and nothing beside it.
        assert _effective_capabilities(postgres.pid) in {0, 1 << 1, 1 << 2}

    def test_listens_at_this_machine_alone(self, postgres: EmbeddedPostgres) -> None:
        assert postgres.pid is not None
        listening = {
            connection.laddr[0]
            for connection in psutil.Process(postgres.pid).net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN
        }

        assert listening == {"127.0.0.1"}

    def test_answers_over_tcp_too(self, postgres: EmbeddedPostgres) -> None:
        url = postgres.address.tcp_url("kameng_app", "wrong", "kameng")

        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(url)

    def test_may_be_called_twice(self, postgres: EmbeddedPostgres) -> None:
        before = postgres.pid

        postgres.start()

        assert postgres.pid == before

    def test_refuses_a_folder_that_another_launcher_holds(self, postgres: EmbeddedPostgres) -> None:
        second = _server(postgres.home.parent)

        with pytest.raises(LocalError, match=rf"already running \(process {os.getpid()}\)"):
            second.start()

        assert query(postgres.app_url, "SELECT 1") == [(1,)]

    def test_refuses_a_cluster_whose_passwords_are_lost(self, tmp_path: Path) -> None:
        server = _server(tmp_path)
        server.start()
        server.stop()
        (server.home / "state.json").unlink()

        with pytest.raises(LocalError, match=r"state\.json is missing"):
            server.start()

        assert (server.cluster / "PG_VERSION").exists()

    def test_says_why_when_the_server_does_not_come_up(self, tmp_path: Path) -> None:
        server = _server(tmp_path)
        server.start()
        server.stop()
        (server.cluster / "global" / "pg_control").rename(server.cluster / "global" / "gone")

        with pytest.raises(LocalError, match="could not find the database system"):
            server.start()

        assert not server.is_alive()

    def test_two_run_side_by_side(self, postgres: EmbeddedPostgres, tmp_path: Path) -> None:
        other = _server(tmp_path / "other")
        other.start()
        try:
            assert other.port != postgres.port
            query(other.owner_url, "CREATE TABLE only_here (id int)")
            assert query(postgres.owner_url, "SELECT to_regclass('only_here')") == [(None,)]
        finally:
            other.stop()


class TestAddress:
    def test_keeps_its_port_over_a_restart(self, postgres: EmbeddedPostgres) -> None:
        before = postgres.port

        postgres.stop()
        postgres.start()

        assert postgres.port == before

    def test_takes_another_port_when_its_own_was_taken_meanwhile(self, postgres: EmbeddedPostgres) -> None:
        before = postgres.port
        postgres.stop()

        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", before))
            other.listen()
            postgres.start()

            assert postgres.port != before
            assert query(postgres.app_url, "SELECT 1") == [(1,)]

    def test_puts_the_socket_elsewhere_when_the_path_is_too_long(self, tmp_path: Path) -> None:
        server = _server(tmp_path / ("long" * 20) / ("longer" * 20))
        server.start()
        try:
            first = server.address.socket_dir
            assert len(str(first)) < 90
            assert stat.S_IMODE(first.stat().st_mode) == 0o700
            assert query(server.app_url, "SELECT 1") == [(1,)]
            server.stop()
            server.start()
            assert not first.exists()
            assert query(server.app_url, "SELECT 1") == [(1,)]
        finally:
            server.stop()

    def test_keeps_passwords_to_the_owner(self, postgres: EmbeddedPostgres) -> None:
        assert stat.S_IMODE((postgres.home / "state.json").stat().st_mode) == 0o600


class TestStop:
    def test_leaves_no_process(self, postgres: EmbeddedPostgres) -> None:
        assert postgres.pid is not None
        pids = family(postgres.pid)
        assert len(pids) > 3

        postgres.stop()

        assert all_gone(pids)
        assert working_in(postgres.cluster, "postgres") == []
        assert not (postgres.cluster / "postmaster.pid").exists()

    def test_cuts_off_a_client_in_a_transaction(self, postgres: EmbeddedPostgres) -> None:
        query(postgres.owner_url, "CREATE TABLE kept (id int)")
        client = psycopg2.connect(postgres.owner_url)
        client.cursor().execute("INSERT INTO kept VALUES (1)")

        postgres.stop()
        postgres.start()

        assert query(postgres.owner_url, "SELECT count(*) FROM kept") == [(0,)]
        client.close()

    def test_may_be_called_twice(self, postgres: EmbeddedPostgres) -> None:
        postgres.stop()
        postgres.stop()

        assert not postgres.is_alive()


class TestRecovery:
    def test_from_a_killed_server(self, postgres: EmbeddedPostgres) -> None:
        query(postgres.owner_url, "CREATE TABLE kept AS SELECT 42 AS id")
        assert postgres.pid is not None
        os.kill(postgres.pid, signal.SIGKILL)
        assert all_gone([postgres.pid or 0])

        postgres.stop()
        postgres.start()

        assert query(postgres.owner_url, "SELECT id FROM kept") == [(42,)]

    def test_the_servers_end_when_their_launcher_is_killed(self, tmp_path: Path) -> None:
        launcher = _serve(tmp_path)
        pids = family(launcher.pid)

        launcher.kill()
        launcher.communicate()

        assert all_gone(pids)

    def test_from_everything_killed_at_once(self, tmp_path: Path) -> None:
        launcher = _serve(tmp_path)
        pids = family(launcher.pid)
        owner = (tmp_path / "env").read_text().split("DATABASE_OWNER_URL=")[1].split("'")[1]
        query(owner, "CREATE TABLE kept AS SELECT 42 AS id")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        launcher.communicate()
        assert all_gone(pids)

        server = _server(tmp_path)
        server.start()

        try:
            assert query(server.owner_url, "SELECT id FROM kept") == [(42,)]
        finally:
            server.stop()

    def test_a_launcher_that_is_asked_stops_cleanly(self, tmp_path: Path) -> None:
        launcher = _serve(tmp_path)
        pids = family(launcher.pid)

        launcher.send_signal(signal.SIGTERM)
        launcher.communicate()

        assert launcher.returncode == 0
        assert all_gone(pids)
        assert not (tmp_path / "endpoint.json").exists()

    def test_ends_an_orphan_and_starts_its_own(self, postgres: EmbeddedPostgres) -> None:
        query(postgres.owner_url, "CREATE TABLE kept AS SELECT 42 AS id")
        postgres.stop()
        program = binaries() / "postgres"
        orphan = spawn(
            [str(program), "-D", str(postgres.cluster)],
            log=postgres.log,
            death_signal=signal.SIGINT,
            account=account_for(postgres.cluster, reaches=(postgres.cluster, program)),
        )
        assert eventually(lambda: can_connect(postgres.app_url))

        postgres.start()

        assert postgres.pid != orphan.pid
        assert all_gone([orphan.pid])
        orphan.wait()
        assert query(postgres.owner_url, "SELECT id FROM kept") == [(42,)]

    def test_takes_a_zombie_in_the_lock_file_for_dead(self, postgres: EmbeddedPostgres) -> None:
        postgres.stop()

        with zombie() as number:
            (postgres.cluster / "postmaster.pid").write_text(f"{number}\n{postgres.cluster}\n")
            postgres.start()

        assert query(postgres.app_url, "SELECT 1") == [(1,)]

    def test_leaves_a_stranger_with_the_recorded_number_alone(self, postgres: EmbeddedPostgres) -> None:
        postgres.stop()
        stranger = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        (postgres.cluster / "postmaster.pid").write_text(f"{stranger.pid}\n{postgres.cluster}\n")

        postgres.start()

        assert stranger.poll() is None
        assert query(postgres.app_url, "SELECT 1") == [(1,)]
        stranger.kill()
        stranger.wait()

    def test_makes_the_cluster_again_when_making_it_was_interrupted(self, tmp_path: Path) -> None:
        half = tmp_path / "postgres" / "making" / "cluster"
        half.mkdir(parents=True)
        (half / "PG_VERSION").write_text("18\n")
        server = _server(tmp_path)

        server.start()

        try:
            assert query(server.app_url, "SELECT 1") == [(1,)]
            assert not (tmp_path / "postgres" / "making").exists()
        finally:
            server.stop()

    def test_makes_a_database_that_was_interrupted_before_it_was_there(self, postgres: EmbeddedPostgres) -> None:
        conn = psycopg2.connect(postgres.superuser_url("postgres"))
        conn.autocommit = True
        conn.cursor().execute("DROP DATABASE kameng WITH (FORCE)")
        conn.close()

        postgres.stop()
        postgres.start()

        assert query(postgres.app_url, "SELECT current_database()") == [("kameng",)]


class TestRights:
    @pytest.mark.parametrize(
        "statement",
        [
            "SELECT set_config('role', 'kameng_owner', true)",
            "DO $$ BEGIN PERFORM 1; END $$",
            "CREATE TABLE public.mine (id int)",
            "CREATE TEMP TABLE mine (id int)",
            "CREATE SCHEMA mine",
            "CREATE ROLE mine",
            "SET ROLE kameng_owner",
            "COPY (SELECT 1) TO '/tmp/mine'",
            "SELECT pg_read_file('/etc/passwd')",
        ],
    )
    def test_the_app_has_none_of_its_own(self, running: EmbeddedPostgres, statement: str) -> None:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            query(running.app_url, statement)

    def test_the_app_may_not_enter_other_databases(self, running: EmbeddedPostgres) -> None:
        for database in ("postgres", "template1"):
            with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
                psycopg2.connect(running.app_url.replace("/kameng?", f"/{database}?"))

    def test_the_owner_makes_roles_and_works_as_them(self, running: EmbeddedPostgres) -> None:
        query(
            running.owner_url, "CREATE ROLE s_1 NOLOGIN; CREATE SCHEMA s_1 AUTHORIZATION s_1; GRANT s_1 TO kameng_app"
        )

        rows = query(running.app_url, "SET ROLE s_1; SELECT current_user")

        assert rows == [("s_1",)]

    def test_the_owner_is_no_superuser(self, running: EmbeddedPostgres) -> None:
        rows = query(
            running.superuser_dsn, "SELECT rolname::text FROM pg_roles WHERE rolsuper OR rolreplication OR rolbypassrls"
        )

        assert rows == [(SUPERUSER,)]

    def test_a_database_made_later_is_closed_too(self, running: EmbeddedPostgres) -> None:
        conn = psycopg2.connect(running.superuser_url("postgres"))
        assert cluster.create_database(conn, "later") is True
        assert cluster.create_database(conn, "later") is False
        conn.close()

        rows = query(
            running.superuser_url("later"),
            "SELECT has_function_privilege('public', 'set_config(text, text, boolean)', 'EXECUTE'),"
            " has_language_privilege('public', 'plpgsql', 'USAGE')",
        )

        assert rows == [(False, False)]

    def test_statements_and_values_stay_out_of_the_log(self, running: EmbeddedPostgres) -> None:
        query(running.owner_url, "CREATE TABLE codes (code text PRIMARY KEY)")
        query(running.owner_url, "INSERT INTO codes VALUES ('SECRET-CODE')")

        with pytest.raises(psycopg2.errors.UniqueViolation):
            query(running.owner_url, "INSERT INTO codes VALUES ('SECRET-CODE')")

        log = running.log.read_text()
        assert "duplicate key" in log
        assert "SECRET-CODE" not in log
