"""The set-up before anything is installed: what it finds, what it asks for, and that it is quick the second time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kameng.local import environment

from .helpers import WAIT_S

SCRIPT = Path(environment.__file__)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A project of two locks, each of one package that lies in it as a wheel; pip asks nobody else."""
    project = tmp_path / "卡盟 店"
    (project / "src").mkdir(parents=True)
    monkeypatch.setattr(environment, "REPO", project)
    monkeypatch.setattr(environment, "VENV", project / ".venv")
    locks = {}
    for level, package in (("product", "first"), ("tools", "second")):
        locks[level] = project / f"{level}.lock"
        locks[level].write_text(lock_line(make_wheel(project / "wheels", package, "1.0")))
    monkeypatch.setattr(environment, "LOCKS", locks)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", (project / "wheels").as_uri())
    return project


def make_wheel(folder: Path, name: str, version: str) -> Path:
    """The least that pip takes for a package: a module that says its version."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


def lock_line(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def has(project: Path, module: str) -> bool:
    """Whether the environment can import the module."""
    return run(project, f"import {module}").returncode == 0


def run(project: Path, code: str, **env: str) -> subprocess.CompletedProcess[str]:
    python = project / ".venv" / "bin" / "python"
    return subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=False, cwd="/", env={**os.environ, **env}
    )


class TestVenv:
    def test_is_made_without_a_pip_on_the_machine(self, folder: Path) -> None:
        assert environment.main(["product"]) == 0

        assert has(folder, "first")
        assert not has(folder, "ensurepip._bundled.nothing") and not has(folder, "second")

    def test_gets_the_tools_beside_the_product_when_they_are_asked_for(self, folder: Path) -> None:
        assert environment.main(["product"]) == 0
        assert environment.main(["tools"]) == 0

        assert has(folder, "first") and has(folder, "second")

    @pytest.mark.parametrize("level", ["product", "tools"])
    def test_is_left_alone_when_it_is_up_to_date(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], level: str
    ) -> None:
        environment.main([level])
        capsys.readouterr()
        monkeypatch.setattr(environment, "install", None)

        assert environment.main([level]) == 0

        assert capsys.readouterr().out == ""

    def test_follows_the_lock(self, folder: Path) -> None:
        environment.main(["product"])
        environment.LOCKS["product"].write_text(lock_line(make_wheel(folder / "wheels", "first", "2.0")))

        environment.main(["product"])

        assert run(folder, "import first; print(first.version)").stdout == "2.0\n"

    def test_refuses_a_package_whose_content_is_not_the_locks(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        wheel = folder / "wheels" / "first-1.0-py3-none-any.whl"
        wheel.write_bytes(wheel.read_bytes() + b"more")

        assert environment.main(["product"]) == 1

        assert "THESE PACKAGES DO NOT MATCH THE HASHES" in capsys.readouterr().err

    def test_writes_everything_again_when_an_installation_was_cut_off(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        install = environment.install

        def cut_off(*arguments: Any, **options: Any) -> None:
            install(*arguments, **options)
            packages = folder / ".venv" / "lib" / "python3.11" / "site-packages"
            (packages / "first.py").unlink()  # Half unpacked: pip takes it for installed.
            (packages / "first-1.0.dist-info" / "RECORD").unlink()
            raise KeyboardInterrupt

        monkeypatch.setattr(environment, "install", cut_off)
        assert environment.main(["product"]) == 130
        monkeypatch.setattr(environment, "install", install)

        assert environment.main(["product"]) == 0

        assert has(folder, "first")

    def test_goes_on_after_a_refusal(self, folder: Path) -> None:
        wheel = folder / "wheels" / "first-1.0-py3-none-any.whl"
        wheel.rename(folder / "away")
        assert environment.main(["product"]) == 1
        (folder / "away").rename(wheel)

        assert environment.main(["product"]) == 0

        assert has(folder, "first")

    def test_waits_for_the_pip_of_a_set_up_that_was_killed(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        waits = threading.Event()
        flock = environment.fcntl.flock

        def noting(descriptor: int, operation: int) -> None:
            if not operation & environment.fcntl.LOCK_NB:
                waits.set()  # It was not to be had at once.
            flock(descriptor, operation)

        monkeypatch.setattr(environment.fcntl, "flock", noting)
        read, write = os.pipe()
        with environment._one_at_a_time() as turn:
            # What a killed set-up leaves: a child that holds its place.
            pip = subprocess.Popen(
                [sys.executable, "-c", f"import os; os.read({read}, 1)"], pass_fds=(turn, read), close_fds=True
            )
        second = threading.Thread(target=environment.main, args=(["product"],))

        second.start()
        waited = waits.wait(WAIT_S) and second.is_alive() and not (folder / ".venv").exists()
        os.write(write, b".")
        pip.wait()
        second.join()

        assert waited
        assert has(folder, "first")
        os.close(read)
        os.close(write)

    @pytest.mark.parametrize("encoding", ["C.UTF-8", "C", "POSIX"])
    def test_finds_the_sources_in_a_folder_of_any_name_under_any_locale(self, folder: Path, encoding: str) -> None:
        environment.main(["product"])
        (folder / "src" / "found.py").touch()

        assert run(folder, "import found", LC_ALL=encoding, PYTHONUTF8="0", PYTHONCOERCECLOCALE="0").stderr == ""

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

        assert environment.main(["product"]) == 1

        assert "Install python3.99." in capsys.readouterr().err

    def test_needs_nothing_that_is_not_in_python(self) -> None:
        result = subprocess.run(
            [sys.executable, "-I", "-S", str(SCRIPT), "nonsense"], capture_output=True, text=True, check=False
        )

        assert (result.returncode, result.stderr) == (2, "usage: environment.py [product | tools | browser | pooler]\n")


class TestBrowser:
    def test_is_left_alone_when_browser_and_fonts_are_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(environment, "find_browser", lambda: "/usr/bin/chromium")
        monkeypatch.setattr(environment, "has_chinese_font", lambda: True)
        monkeypatch.setattr(environment, "has_library", lambda _name: True)
        monkeypatch.setattr(subprocess, "run", None)

        environment.ensure_browser()

    def test_is_asked_for_when_it_can_not_be_installed(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(environment, "find_browser", lambda: None)
        monkeypatch.setattr(environment, "has_chinese_font", lambda: False)
        monkeypatch.setattr(environment, "has_library", lambda _name: False)
        monkeypatch.setattr(os, "geteuid", lambda: 1000)

        assert environment.main(["browser"]) == 1

        assert "sudo apt-get install -y chromium fonts-noto-cjk libatomic1" in capsys.readouterr().err

    @pytest.mark.parametrize(("name", "expected"), [("NotoSansCJK-Regular.ttc", True), ("DejaVuSans.ttf", False)])
    def test_knows_a_chinese_font_by_its_name(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, expected: bool
    ) -> None:
        (tmp_path / name).touch()
        monkeypatch.setattr(environment, "FONT_FOLDERS", (str(tmp_path),))

        assert environment.has_chinese_font() is expected

    @pytest.mark.parametrize(("name", "expected"), [("libc.so.6", True), ("libnone.so.9", False)])
    def test_asks_the_loader_for_a_library(self, name: str, expected: bool) -> None:
        assert environment.has_library(name) is expected
