"""What a copy consists of, its environment, and what it prints about the demonstration."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kameng.local import endpoint
from kameng.local.errors import LocalError
from kameng.local.house import House, demo_logins, demo_shops, worker_answers
from kameng.local.redis import EmbeddedRedis

VARIABLES = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "KAMENG_TESTPAY_URL", "KAMENG_SECRET_KEY")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., House]:
    """Makes a house in a folder, with these variables given and no others."""

    def make(folder: str = "data", **given: str) -> House:
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        return House(tmp_path / folder, 8123, report=print)

    return make


class TestServers:
    def test_embeds_both_when_none_is_given(self, house: Callable[..., House]) -> None:
        made = house()

        assert (made.postgres.is_alive(), made.redis.is_alive()) == (False, False)
        assert made.has_testpay

    def test_uses_what_is_given_and_starts_none(
        self, house: Callable[..., House], tmp_path: Path, redis_server: EmbeddedRedis
    ) -> None:
        made = house(
            DATABASE_URL="postgresql://app@h/d",
            DATABASE_OWNER_URL="postgresql://owner@h/d",
            REDIS_URL=redis_server.url,
            KAMENG_TESTPAY_URL="http://pay.example",
        )
        made.supervisor.add(made.postgres)
        made.supervisor.add(made.redis)
        made.publish()

        assert not made.has_testpay
        assert made.prepare_external() == []
        assert not (tmp_path / "data" / "postgres").exists()
        assert endpoint.load(tmp_path / "data").environment() == {
            "DATABASE_URL": "postgresql://app@h/d",
            "DATABASE_OWNER_URL": "postgresql://owner@h/d",
            "REDIS_URL": redis_server.url,
            "KAMENG_TESTPAY_URL": "http://pay.example",
            "PORT": "8123",
        }

    def test_says_that_a_given_redis_does_not_answer(self, house: Callable[..., House]) -> None:
        made = house(REDIS_URL="redis://127.0.0.1:1/0")

        with pytest.raises(LocalError, match="The Redis that REDIS_URL names does not let us in"):
            made.supervisor.add(made.redis)

    def test_hands_the_environment_to_its_processes(self, house: Callable[..., House], tmp_path: Path) -> None:
        made = house(KAMENG_SECRET_KEY="mine")
        before = dict(os.environ)

        env = made.web().env

        assert env["KAMENG_DATA"] == str(tmp_path / "data")
        assert env["PORT"] == "8123"
        assert env["KAMENG_SECRET_KEY"] == "mine"
        assert env["KAMENG_TESTPAY_URL"] == made.testpay_url
        assert dict(os.environ) == before

    def test_keeps_the_test_channels_port(self, house: Callable[..., House]) -> None:
        assert house().testpay_url == house().testpay_url

    def test_says_which_command_failed_and_why(self, house: Callable[..., House], tmp_path: Path) -> None:
        with pytest.raises(LocalError, match=r"`kameng nonsense` failed(.|\n)*No such command 'nonsense'"):
            house().run_once("step", ("nonsense",), print)

    def test_shows_the_last_line_of_a_command_that_worked(self, house: Callable[..., House]) -> None:
        said: list[str] = []

        house().run_once("step", ("pg", "--help"), said.append)

        assert said[-1].startswith("url ")


class TestEndpoint:
    def test_is_unknown_when_nothing_was_started(self, tmp_path: Path) -> None:
        with pytest.raises(LocalError, match="Nothing runs in"):
            endpoint.load(tmp_path)

    def test_is_unknown_when_its_keeper_is_gone(self, tmp_path: Path) -> None:
        endpoint.Endpoint("a", "o", "r", pid=2**22 + 1).save(tmp_path)

        with pytest.raises(LocalError, match="Nothing runs in"):
            endpoint.load(tmp_path)

    def test_is_forgotten(self, tmp_path: Path) -> None:
        endpoint.Endpoint("a", "o", "r", pid=os.getpid()).save(tmp_path)
        assert endpoint.load(tmp_path).redis_url == "r"

        endpoint.forget(tmp_path)

        assert list(tmp_path.iterdir()) == []


class TestDemonstration:
    def test_is_empty_before_it_was_loaded(self, tmp_path: Path) -> None:
        assert demo_logins(tmp_path, 8000) == []
        assert demo_shops(tmp_path, 8000) == []

    def test_shows_the_port_of_this_run(self, tmp_path: Path) -> None:
        login = {"what": "Owner", "url": "http://star.localhost:8000/panel/", "user": "a@b.c", "password": "p"}
        main = {"what": "Console", "url": "http://localhost:8000/console/", "user": "m@b.c", "password": "q"}
        (tmp_path / "demo.json").write_text(json.dumps({"logins": [main, login, login]}))

        assert demo_logins(tmp_path, 9001)[:2] == [
            ("Console", "http://localhost:9001/console/", "m@b.c", "q"),
            ("Owner", "http://star.localhost:9001/panel/", "a@b.c", "p"),
        ]
        assert demo_shops(tmp_path, 9001) == [("Shops", "http://star.localhost:9001/")]


class TestWorker:
    def test_is_asked_again_when_redis_was_restarted(self, redis_server: EmbeddedRedis) -> None:
        asked = [worker_answers(redis_server.url, "kameng-nobody@here")]
        redis_server.stop()
        asked.append(worker_answers(redis_server.url, "kameng-nobody@here"))
        redis_server.start()
        asked.append(worker_answers(redis_server.url, "kameng-nobody@here"))

        assert asked == [False, False, False]
