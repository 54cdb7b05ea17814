"""`kameng bench`, as a person runs it: whole, at its smallest sizes, and cut short. What it measures is nobody's claim."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from kameng.cli import bench as command
from kameng.local._processes import processes_where

# How many things the issue asks of each.
ASKED = {"provisioning": 5, "sync": 2, "ledger": 9, "sale": 7, "page": 6, "tenants": 1}
SIZES = {
    "provisioning": {"rounds", "takes_each", "schemas", "tables_each"},
    "sync": {"rounds", "skus"},
    "ledger": {"rounds", "seconds_each"},
    "sale": {"rounds", "seconds_each", "codes"},
    "page": {"rounds", "requests_each", "clients", "sizes"},
    "tenants": {"substations", "burst", "arrivals_per_s"},
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a bench's folder lies, and the mark by which its processes are known."""
    folder = tmp_path / "t"
    folder.mkdir()
    return folder


def start(name: str, place: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kameng.cli", "bench", name, "--quick", "--json"],
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_of(place: Path) -> tuple[list[Path], list[str]]:
    """The files and the processes that a bench left."""

    def is_of_it(process: psutil.Process) -> bool:
        return process.environ().get("TMPDIR") == str(place) or Path(process.cwd()).is_relative_to(place)

    return list(place.iterdir()), [process.name() for process in processes_where(is_of_it)]


class TestRun:
    @pytest.mark.parametrize("name", list(ASKED))
    def test_prints_one_object_of_one_shape_and_leaves_nothing(self, name: str, place: Path) -> None:
        with start(name, place) as process:
            out, err = process.communicate()

        assert process.returncode == 0, err
        assert out.count("\n") == 1
        result = json.loads(out)
        assert list(result) == ["name", "versions", "figures", "ratios", "asked"]
        assert result["name"] == name
        assert result["versions"]["postgres"].startswith("18.")
        assert SIZES[name] <= result["figures"].keys()
        assert len(result["asked"]) == ASKED[name]
        for line in result["asked"]:
            assert {key: type(value) for key, value in line.items()} in (
                {"what": str, "asked": str, "got": float, "holds": bool},
                {"what": str, "asked": str, "got": int, "holds": bool},
            )
        assert err.startswith(f"bench {name}\n")
        assert left_of(place) == ([], [])


class TestEnd:
    @pytest.mark.parametrize(
        ("number", "moment", "status"),
        [
            (signal.SIGINT, "preparing", 130),  # A server is up, and a Django of its own at work.
            (signal.SIGTERM, "preparing", 143),
            (signal.SIGKILL, "round 1 of 1", -signal.SIGKILL),  # Sixteen clients as well.
        ],
    )
    def test_cut_short_it_leaves_nothing(self, number: signal.Signals, moment: str, status: int, place: Path) -> None:
        with start("ledger", place) as process:
            assert process.stderr is not None
            assert any(moment in line for line in process.stderr)
            process.send_signal(number)
            told = process.stderr.read()  # It ends with the last process that the bench had.
            assert process.wait() == status, told
            assert process.stdout is not None
            assert process.stdout.read() == ""

        assert left_of(place) == ([], [])


class TestCommand:
    @pytest.fixture(autouse=True)
    def _planted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Results put in by hand; and pytest keeps its own way with signals."""

        def run(name: str, quick: bool) -> dict[str, Any]:
            asked = [{"what": "speed", "asked": "≥ 1.0", "got": 0.5, "holds": name != "sale"}]
            return {"name": name, "versions": {}, "figures": {"rows": 3}, "ratios": {}, "asked": asked}

        monkeypatch.setattr(command, "_run", run)
        monkeypatch.setattr(command, "raise_on_signals", lambda: None)

    def test_prints_a_line_for_each_in_the_order_given(self) -> None:
        result = CliRunner().invoke(command.bench, ["page", "sync", "--json"])

        assert result.exit_code == 0
        assert [json.loads(line)["name"] for line in result.stdout.splitlines()] == ["page", "sync"]

    def test_runs_all_unless_some_are_named(self) -> None:
        result = CliRunner().invoke(command.bench, ["--json", "--quick"])

        names = [json.loads(line)["name"] for line in result.stdout.splitlines()]
        assert names == list(command.NAMES)

    def test_fails_and_says_what_is_short_after_printing_all(self) -> None:
        result = CliRunner().invoke(command.bench, ["sale", "page", "--json"])

        assert result.exit_code == 1
        assert len(result.stdout.splitlines()) == 2
        assert result.stderr == "Error: Short of what was asked: sale: speed\n"

    def test_small_sizes_claim_nothing(self) -> None:
        assert CliRunner().invoke(command.bench, ["sale", "--json", "--quick"]).exit_code == 0

    def test_writes_a_file_for_each_when_told_where(self, tmp_path: Path) -> None:
        CliRunner().invoke(command.bench, ["page", "sync", "--json", "--out", str(tmp_path / "new")])

        assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["page.json", "sync.json"]
        assert json.loads((tmp_path / "new" / "page.json").read_text())["figures"] == {"rows": 3}

    def test_shows_a_table_to_a_person(self) -> None:
        result = CliRunner().invoke(command.bench, ["sale", "--quick"])

        assert "SHORT" in result.stdout
        assert '"rows": 3' in result.stdout

    def test_refuses_a_name_that_is_none(self) -> None:
        result = CliRunner().invoke(command.bench, ["speed"])

        assert result.exit_code == 2
        assert "'speed' is not one of" in result.stderr
