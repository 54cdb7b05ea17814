"""The set-up before anything is installed: what it finds, what it asks for, and that it is quick the second time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kameng.local import environment

SCRIPT = Path(environment.__file__)


class TestVenv:
    def test_is_left_alone_when_it_is_up_to_date(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        asked: list[str] = []
        monkeypatch.setattr(environment, "VENV", tmp_path)
        monkeypatch.setattr(environment, "STAMP", tmp_path / "stamp")
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "python").symlink_to(sys.executable)
        for step in ("create_venv", "install", "make_importable"):
            monkeypatch.setattr(environment, step, lambda name=step: asked.append(name))

        environment.make_venv()
        environment.make_venv()

        assert asked == ["create_venv", "install", "make_importable"]

    def test_is_made_again_when_the_lock_changed(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        asked: list[str] = []
        (tmp_path / "lock").write_text("one==1\n")
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "python").symlink_to(sys.executable)
        monkeypatch.setattr(environment, "VENV", tmp_path)
        monkeypatch.setattr(environment, "STAMP", tmp_path / "stamp")
        monkeypatch.setattr(environment, "LOCK", tmp_path / "lock")
        for step in ("create_venv", "install", "make_importable"):
            monkeypatch.setattr(environment, step, lambda name=step: asked.append(name))
        environment.make_venv()

        (tmp_path / "lock").write_text("one==2\n")
        environment.make_venv()

        assert asked.count("install") == 2

    def test_gets_a_script_that_runs_in_a_folder_with_a_blank(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        venv = tmp_path / "a folder" / ".venv"
        (venv / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
        (venv / "bin").mkdir()
        (venv / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (venv / "bin" / "python").chmod(0o755)
        monkeypatch.setattr(environment, "VENV", venv)

        environment.make_importable()

        result = subprocess.run([str(venv / "bin" / "kameng"), "--help"], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert "kameng [OPTIONS] COMMAND" in result.stdout

    def test_is_refused_by_another_python_when_there_is_no_right_one(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(environment, "PYTHON", (3, 99))

        assert environment.main(["venv"]) == 1

        assert "Install python3.99." in capsys.readouterr().err

    def test_needs_nothing_that_is_not_in_python(self) -> None:
        result = subprocess.run(
            [sys.executable, "-I", "-S", str(SCRIPT), "nonsense"], capture_output=True, text=True, check=False
        )

        assert (result.returncode, result.stderr) == (2, "usage: environment.py [venv | browser]\n")


class TestBrowser:
    def test_is_left_alone_when_browser_and_fonts_are_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(environment, "find_browser", lambda: "/usr/bin/chromium")
        monkeypatch.setattr(environment, "has_chinese_font", lambda: True)
        monkeypatch.setattr(subprocess, "run", None)

        environment.ensure_browser()

    def test_is_asked_for_when_it_can_not_be_installed(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(environment, "find_browser", lambda: None)
        monkeypatch.setattr(environment, "has_chinese_font", lambda: False)
        monkeypatch.setattr(os, "geteuid", lambda: 1000)

        assert environment.main(["browser"]) == 1

        assert "sudo apt-get install -y chromium fonts-noto-cjk" in capsys.readouterr().err

    @pytest.mark.parametrize(("name", "expected"), [("NotoSansCJK-Regular.ttc", True), ("DejaVuSans.ttf", False)])
    def test_knows_a_chinese_font_by_its_name(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, expected: bool
    ) -> None:
        (tmp_path / name).touch()
        monkeypatch.setattr(environment, "FONT_FOLDERS", (tmp_path,))

        assert environment.has_chinese_font() is expected
