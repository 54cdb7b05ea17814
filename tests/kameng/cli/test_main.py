"""The command line: names without imports, folders, refusals in plain words."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kameng import cli
from kameng.lib.errors import Refused
from kameng.local._state import FolderLock


@pytest.fixture(autouse=True)
def _without_servers() -> Iterator[None]:
    """No address is given; and what a command adds to the environment is gone after the test."""
    before = dict(os.environ)
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "KAMENG_DATA", "DATA", "PORT"):
        os.environ.pop(name, None)
    yield
    os.environ.clear()
    os.environ.update(before)


class TestNames:
    def test_help_lists_every_command_without_importing_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cli, "COMMANDS", {"later": ("kameng.no.such.module:later", "Not there yet.")})

        result = CliRunner().invoke(cli.main, ["--help"])

        assert result.exit_code == 0
        assert "later  Not there yet." in result.output

    def test_refuses_an_unknown_command(self) -> None:
        result = CliRunner().invoke(cli.main, ["nonsense"])

        assert result.exit_code == 2
        assert "No such command 'nonsense'" in result.output


class TestFolder:
    @pytest.mark.parametrize(
        ("arguments", "env", "expected"),
        [
            (["--data", "/a"], {"KAMENG_DATA": "/b"}, Path("/a")),
            ([], {"KAMENG_DATA": "/b", "DATA": "/c"}, Path("/b")),
            ([], {"DATA": "/c"}, Path("/c")),
            ([], {}, cli.REPO / ".data"),
        ],
    )
    def test_is_the_option_else_the_variables_else_the_projects(
        self, monkeypatch: pytest.MonkeyPatch, arguments: list[str], env: dict[str, str], expected: Path
    ) -> None:
        seen: list[Path] = []

        @click.command()
        def look() -> None:
            seen.append(cli.data_folder())

        monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: look)

        CliRunner().invoke(cli.main, [*arguments, "look"], env=env)

        assert seen == [expected]


class TestRefusals:
    def test_a_command_that_needs_a_database_says_that_none_runs(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(cli.main, ["--data", str(tmp_path), "manage", "check"])

        assert result.exit_code == 1
        assert result.output.startswith(f"Error: Nothing runs in {tmp_path}.")

    def test_a_refusal_of_the_product_is_a_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        @click.command()
        def refuse() -> None:
            raise Refused("The stock is empty.")

        monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: refuse)

        result = CliRunner().invoke(cli.main, ["refuse"])

        assert (result.exit_code, result.output) == (1, "Error: The stock is empty.\n")

    def test_a_second_run_in_the_same_folder_is_refused(self, tmp_path: Path) -> None:
        lock = FolderLock(tmp_path / "run.lock")
        lock.take("The first")

        result = CliRunner().invoke(cli.main, ["--data", str(tmp_path), "run"])

        assert result.output == (
            f"Error: Kameng in {tmp_path} is already running (process {os.getpid()}). End it with Ctrl-C where it runs, "
            "or start a copy in another folder: make run PORT=… DATA=…\n"
        )
        assert [path.name for path in tmp_path.iterdir()] == ["run.lock"]
        lock.release()

    def test_a_taken_port_is_refused_before_anything_starts(self, tmp_path: Path) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]

            result = CliRunner().invoke(cli.main, ["--data", str(tmp_path), "run", "--port", str(port)])

        assert result.output.startswith(f"Error: Port {port} is taken by another program.")
        assert [path.name for path in tmp_path.iterdir()] == ["run.lock"]
