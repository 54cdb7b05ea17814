"""Small private files and the lock of a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kameng.local import _state
from kameng.local._state import FolderLock, free_port, read_json, write_json
from kameng.local.errors import LocalError

NOBODY = 65_534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of another user's where we are root, else our own."""
    if os.geteuid() == 0:
        os.chown(tmp_path, NOBODY, NOBODY)
    return tmp_path


class TestFiles:
    def test_are_the_folders_owners_and_nobody_elses_to_read(self, folder: Path) -> None:
        write_json(folder / "state.json", {"port": 1})

        info = (folder / "state.json").stat()
        assert (info.st_uid, info.st_mode & 0o777) == (folder.stat().st_uid, 0o600)
        assert read_json(folder / "state.json") == {"port": 1}
        assert [path.name for path in folder.iterdir()] == ["state.json"]

    @pytest.mark.parametrize("text", ["{", "[]", ""])
    def test_say_which_one_is_damaged(self, folder: Path, text: str) -> None:
        (folder / "state.json").write_text(text)

        with pytest.raises(LocalError, match=r"state\.json is damaged"):
            read_json(folder / "state.json")


class TestLock:
    def test_is_the_folders_owners(self, folder: Path) -> None:
        lock = FolderLock(folder / "lock")

        lock.take("The first")

        assert (folder / "lock").stat().st_uid == folder.stat().st_uid
        lock.release()

    def test_names_its_holder_and_the_cure(self, folder: Path) -> None:
        first, second = FolderLock(folder / "lock"), FolderLock(folder / "lock")
        first.take("The first")

        with pytest.raises(LocalError, match=rf"^The second is already running \(process {os.getpid()}\)\. Wait\.$"):
            second.take("The second", " Wait.")

        first.release()
        second.take("The second")
        second.release()


class TestFreePort:
    def test_is_none_that_the_system_gives_to_a_connection(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "given").write_text("15100\t60999\n")
        monkeypatch.setattr(_state, "GIVEN", tmp_path / "given")
        monkeypatch.setattr(_state, "OURS", range(15_050, 15_150))

        assert {free_port() for _ in range(50)} <= set(range(15_050, 15_100))

    def test_is_the_systems_choice_where_it_gives_all(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "given").write_text("1024\t65535\n")
        monkeypatch.setattr(_state, "GIVEN", tmp_path / "given")

        assert free_port() not in range(1024)
