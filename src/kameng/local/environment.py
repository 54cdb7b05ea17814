"""Makes `.venv` from nothing but Python 3.11, and finds the browser for the tests. Run by `make`, with any Python.

    python3 src/kameng/local/environment.py [venv | browser]

It runs before anything is installed, so it imports the standard library alone and nothing of Kameng.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]
VENV = REPO / ".venv"
LOCK = REPO / "requirements.lock"
STAMP = VENV / "kameng-setup"
PYTHON = (3, 11)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_PACKAGES = ("chromium", "fonts-noto-cjk")
FONT_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts")
FONT_NAMES = re.compile(r"cjk|wqy|source-?han|droidsansfallback|uming|ukai", re.IGNORECASE)


def main(arguments: list[str]) -> int:
    """Returns the exit status; what went wrong is said on standard error."""
    actions = {"venv": make_venv, "browser": ensure_browser}
    name = arguments[0] if arguments else "venv"
    if name not in actions:
        print(f"usage: environment.py [{' | '.join(actions)}]", file=sys.stderr)
        return 2
    try:
        actions[name]()
    except SetupFailed as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


class SetupFailed(Exception):
    """The message says what is missing and how to get it."""


def make_venv() -> None:
    """`.venv` with exactly what requirements.lock names; nothing to do when it is there. One at a time per folder."""
    use_right_python()
    folder = os.open(REPO, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)  # Two `make run` at once: the second waits, and finds it done.
    try:
        wanted = hashlib.sha256(LOCK.read_bytes() + Path(__file__).read_bytes() + str(VENV).encode()).hexdigest()
        if STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted and _works(VENV / "bin" / "python"):
            return
        create_venv()
        install()
        make_importable()
        STAMP.write_text(wanted, encoding="utf-8")
        say("Environment is ready.", end="\n")
    finally:
        os.close(folder)


def use_right_python() -> None:
    """Go on under Python 3.11 when this is another one."""
    if sys.version_info[:2] == PYTHON:
        return
    wanted = "python" + ".".join(str(part) for part in PYTHON)
    found = shutil.which(wanted)
    if not found:
        raise SetupFailed(f"Kameng needs Python 3.11, and this is {sys.version.split()[0]}. Install {wanted}.")
    os.execv(found, [found, __file__, *sys.argv[1:]])


def create_venv() -> None:
    """A fresh one when there is none, or when its Python does not run any more (the folder was moved)."""
    python = VENV / "bin" / "python"
    if _works(python) and _moved_from() is None:
        return
    say("Environment: making .venv …")
    result = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        hint = "On Debian and Ubuntu: apt-get install python3-venv."
        raise SetupFailed(f"The environment can't be made. {hint}\n{result.stdout}{result.stderr}".rstrip())


def _works(python: Path) -> bool:
    return python.exists() and subprocess.run([str(python), "-c", "import pip"], capture_output=True).returncode == 0


def _moved_from() -> str | None:
    """The folder that an environment was made for, when it is not this one: its scripts name the old place."""
    activate = VENV / "bin" / "activate"
    text = activate.read_text(encoding="utf-8") if activate.exists() else ""
    found = re.search(r'^VIRTUAL_ENV="?([^"\n]+)"?$', text, re.MULTILINE)
    return found[1] if found and found[1] not in {str(VENV), "${VIRTUAL_ENV}"} else None


def install() -> None:
    """The locked packages, hashes checked, with a line that counts them."""
    total = len(re.findall(r"^[A-Za-z0-9][^\s=]*==", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    # The lock is complete: nothing is left for pip to resolve.
    command += ["--no-deps", "--require-hashes", "--progress-bar", "off", "-r", str(LOCK)]
    env = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    output: list[str] = []
    count = 0
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    assert process.stdout is not None
    for line in process.stdout:
        output.append(line)
        package = re.match(r"(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9._-]+)", line)
        if package:
            count += 1
            say(f"Environment: package {count} of {total}: {package[1]}", step=count)
        elif line.startswith("Installing collected packages"):
            say(f"Environment: unpacking {total} packages …")
    if process.wait() != 0:
        raise SetupFailed(f"The packages can't be installed:\n{''.join(output[-15:])}".rstrip())


def make_importable() -> None:
    """Point the environment at the source folders, and give it the `kameng` script."""
    packages = next((VENV / "lib").glob("python3*")) / "site-packages"
    (packages / "kameng-dev.pth").write_text(f"{REPO / 'src'}\n{REPO}\n", encoding="utf-8")
    script = VENV / "bin" / "kameng"
    # Through sh: a first line with an interpreter may be no longer than 127 bytes and hold no blank.
    script.write_text(
        f"#!/bin/sh\n'''exec' \"{VENV}/bin/python\" \"$0\" \"$@\"\n' '''\nfrom kameng.cli import main\n\n"
        # The benches start processes that read this file again.
        'if __name__ == "__main__":\n    main()\n',
        encoding="utf-8",
    )
    script.chmod(0o755)


def ensure_browser() -> None:
    """Chromium and Chinese fonts for the tests: found, or installed by apt-get as root, or asked for."""
    missing = [
        package
        for package, found in zip(BROWSER_PACKAGES, (find_browser() is not None, has_chinese_font()), strict=True)
        if not found
    ]
    if not missing:
        return
    command = f"apt-get install -y {' '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupFailed(f"The browser tests need {' and '.join(missing)}. On Debian: sudo {command}")
    say(f"Tests: installing {', '.join(missing)} …", end="\n")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in ("apt-get -qq update", command.replace("install", "-qq install --no-install-recommends")):
        result = subprocess.run(step.split(), capture_output=True, text=True, env=env, check=False)
        if result.returncode != 0:
            raise SetupFailed(f"`{step}` failed:\n{(result.stdout + result.stderr)[-2000:]}".rstrip())
    if find_browser() is None:
        raise SetupFailed("apt-get brought no Chromium. Install one so that `chromium` is found on the PATH.")


def find_browser() -> str | None:
    """The path of an installed Chromium or Chrome."""
    return next((path for path in map(shutil.which, BROWSERS) if path), None)


def has_chinese_font() -> bool:
    """Whether some font for Chinese is installed, by the names of the usual ones."""
    return any(FONT_NAMES.search(path.name) for folder in FONT_FOLDERS if folder.is_dir() for path in folder.rglob("*"))


def say(text: str, *, end: str = "", step: int = 0) -> None:
    """A line that the next one overwrites on a terminal; elsewhere only every twentieth step, and none of it twice."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end=end, flush=True)
    elif step % 20 == 0:
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
