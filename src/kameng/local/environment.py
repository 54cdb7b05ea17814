"""Makes `.venv` from nothing but Python 3.11, and finds the browser for the tests. Run by `make`, with any Python.

    python3 src/kameng/local/environment.py [product | tools | browser | pooler]

`product` is what `make run` needs; `tools` adds what tests and checks need; `browser` and `pooler` are programs of the
system's that the tests drive. It runs before anything is installed, so
it imports the standard library alone and nothing of Kameng.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]
VENV = REPO / ".venv"
PRODUCT, TOOLS = "product", "tools"
# Each level's lock; `tools` stands on `product`.
LOCKS = {PRODUCT: REPO / "requirements.lock", TOOLS: REPO / "requirements-dev.lock"}
# pip as its authors published it. Debian's Python comes without ensurepip, so no pip can be asked of the machine.
PIP = Path(__file__).parent / "bootstrap" / "pip-26.3-py3-none-any.whl"
PYTHON = (3, 11)
UNFINISHED = "unfinished"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_PACKAGES = ("chromium", "fonts-noto-cjk", "libatomic1")
POOLER = "pgbouncer"
DEBIAN = VENV / "debian"
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts")
FONT_NAMES = re.compile(r"cjk|wqy|source-?han|droidsansfallback|uming|ukai", re.IGNORECASE)


def main(arguments: list[str]) -> int:
    """Returns the exit status; what went wrong is said on standard error."""
    actions = {
        PRODUCT: lambda: make_venv((PRODUCT,)),
        TOOLS: lambda: make_venv((PRODUCT, TOOLS)),
        "browser": ensure_browser,
        "pooler": ensure_pooler,
    }
    name = arguments[0] if arguments else PRODUCT
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # A terminal of another encoding than UTF-8.
    if name not in actions:
        print(f"usage: environment.py [{' | '.join(actions)}]", file=sys.stderr)
        return 2
    try:
        actions[name]()
    except SetupFailed as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return 130
    return 0


class SetupFailed(Exception):
    """The message says what is missing and how to get it."""


def make_venv(levels: Iterable[str]) -> None:
    """`.venv` with what these levels' locks name; nothing to do when it is there. One at a time per folder."""
    use_right_python()
    wanted = {level: _fingerprint(level) for level in levels}
    with _one_at_a_time() as turn:
        if _works(VENV / "bin" / "python") and all(_stamp(level) == text for level, text in wanted.items()):
            return
        create_venv()
        for level, text in wanted.items():
            if _stamp(level) != text:
                was_cut_off = _stamp(level) == UNFINISHED
                _stamp_file(level).write_text(UNFINISHED, encoding="utf-8")
                install(level, turn, anew=was_cut_off)
                _stamp_file(level).write_text(text, encoding="utf-8")
        make_importable()
        say("Environment is ready.", end="\n", always=True)


class _one_at_a_time:  # noqa: N801  # Used like a function.
    """A lock on the project's folder. It is handed to pip: while a killed set-up's pip still writes, others wait."""

    def __enter__(self) -> int:
        self._folder = os.open(REPO, os.O_RDONLY)
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Environment: waiting for another set-up in this folder …", always=True)
            fcntl.flock(self._folder, fcntl.LOCK_EX)
        return self._folder

    def __exit__(self, *_error: object) -> None:
        os.close(self._folder)


def _fingerprint(level: str) -> str:
    """Changes with whatever an environment of this level is made of."""
    parts = (LOCKS[level].read_bytes(), Path(__file__).read_bytes(), PIP.name.encode(), os.fsencode(VENV))
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _stamp_file(level: str) -> Path:
    return VENV / f"kameng-{level}"


def _stamp(level: str) -> str:
    file = _stamp_file(level)
    return file.read_text(encoding="utf-8") if file.exists() else ""


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
    if _works(VENV / "bin" / "python") and _moved_from() is None:
        return
    say("Environment: making .venv …", always=True)
    # Without pip: `install` brings its own, and Debian's Python could not give one.
    command = [sys.executable, "-m", "venv", "--without-pip", "--clear", str(VENV)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        said = f"{result.stdout}{result.stderr}".rstrip()
        if "No module named" in said:
            said += "\nThis Python lacks a part of its standard library. On Debian: apt-get install python3-venv."
        raise SetupFailed(f"The environment can't be made in {VENV}.\n{said}")


def _works(python: Path) -> bool:
    return python.exists() and subprocess.run([str(python), "-c", ""], capture_output=True).returncode == 0


def _moved_from() -> str | None:
    """The folder that an environment was made for, when it is not this one: its scripts name the old place."""
    activate = VENV / "bin" / "activate"
    text = activate.read_text(encoding="utf-8") if activate.exists() else ""
    found = re.search(r'^VIRTUAL_ENV="?([^"\n]+)"?$', text, re.MULTILINE)
    return found[1] if found and found[1] not in {str(VENV), "${VIRTUAL_ENV}"} else None


def install(level: str, turn: int, *, anew: bool) -> None:
    """The packages of the level's lock, hashes checked, with a line that counts them.

    `turn` is the descriptor of the lock on the folder. `anew` writes also what is there, for an installation that was
    cut off: pip takes a package that was half unpacked for an installed one. Raises SetupFailed with pip's last words.
    """
    lock = LOCKS[level]
    total = len(re.findall(r"^[A-Za-z0-9][^\s=]*==", lock.read_text(encoding="utf-8"), re.MULTILINE))
    command = [str(VENV / "bin" / "python"), f"{PIP}/pip", "install", "--disable-pip-version-check", "--no-input"]
    # The lock is complete: nothing is left for pip to resolve.
    command += ["--no-deps", "--require-hashes", "--progress-bar", "off", "-r", str(lock)]
    command += ["--ignore-installed"] if anew else []
    env = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    output: list[str] = []
    count = 0
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
        pass_fds=(turn,),
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                output.append(line)
                package = re.match(r"(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9._-]+)", line)
                if package:
                    count += 1
                    say(f"Environment: {level}, package {count} of {total}: {package[1]}", step=count)
                elif line.startswith("Installing collected packages"):
                    say(f"Environment: {level}, unpacking {total} packages …", always=True)
        except KeyboardInterrupt:
            process.stdout.read()  # The terminal's Ctrl-C reached pip too; it clears its temporary folders away.
            raise
    if process.returncode != 0:
        raise SetupFailed(f"The packages can't be installed:\n{''.join(output[-15:])}".rstrip())


def make_importable() -> None:
    """Point the environment at the source folders, and give it the `kameng` script."""
    packages = next((VENV / "lib").glob("python3*")) / "site-packages"
    # Python reads the file in the encoding of the reader's locale, so it spells the folder's bytes out.
    folders = [os.fsencode(REPO / "src"), os.fsencode(REPO)]
    (packages / "kameng-dev.pth").write_text(
        f"import os, sys; sys.path += map(os.fsdecode, {folders})\n", encoding="ascii"
    )
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
    """Chromium, Chinese fonts and what playwright's driver links: found, or installed by apt-get as root, or asked for."""
    there = (find_browser() is not None, has_chinese_font(), has_library("libatomic.so.1"))
    missing = [package for package, found in zip(BROWSER_PACKAGES, there, strict=True) if not found]
    if not missing:
        return
    command = f"apt-get install -y {' '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupFailed(f"The browser tests need {' and '.join(missing)}. On Debian: sudo {command}")
    say(f"Tests: installing {', '.join(missing)} …", end="\n", always=True)
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


def ensure_pooler() -> None:
    """PgBouncer for the tests: an installed one, else Debian's package unpacked into `.venv`, which needs no root.

    Raises SetupFailed where apt-get brings none: then it is to be installed.
    """
    if find_pooler() is not None:
        return
    say(f"Tests: fetching {POOLER} …", end="\n", always=True)
    try:
        _unpack(POOLER)
        for name in re.findall(r"\blib[a-z0-9.+-]+", _depends(POOLER)):
            if not _is_installed(name):
                _unpack(name)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise SetupFailed(
            f"The tests need {POOLER}, and it can't be fetched:\n{said[-2000:]}\nOn Debian: sudo apt-get install {POOLER}"
        ) from error
    if find_pooler() is None:
        raise SetupFailed(f"apt-get brought no {POOLER}. Install one so that it is found on the PATH or in /usr/sbin.")


def find_pooler() -> str | None:
    """The path of an installed PgBouncer, or of the unpacked one."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", str(DEBIAN / "usr" / "sbin")])
    return shutil.which(POOLER, path=folders)


def _unpack(package: str) -> None:
    """A package of the system's own sources into `.venv/debian`, without installing it."""
    DEBIAN.mkdir(parents=True, exist_ok=True)
    for old in DEBIAN.glob(f"{package}_*.deb"):
        old.unlink()
    try:
        _quietly("apt-get", "-qq", "download", package)
    except subprocess.CalledProcessError:  # A machine without lists, as most images are: with lists of our own.
        _quietly("apt-get", "-qq", *_own_lists(), "download", package)
    (archive,) = DEBIAN.glob(f"{package}_*.deb")
    _quietly("dpkg-deb", "-x", str(archive), str(DEBIAN))


def _own_lists() -> list[str]:
    """Options that make apt-get keep its lists in `.venv/debian`; they are fetched when there are none yet."""
    lists, cache = DEBIAN / "lists", DEBIAN / "cache"
    options = ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={cache}"]
    if not any(lists.glob("*_Packages*")):
        for folder in (lists / "partial", cache / "archives" / "partial"):
            folder.mkdir(parents=True, exist_ok=True)
        _quietly("apt-get", "-qq", *options, "update")
    return options


def _depends(package: str) -> str:
    (archive,) = DEBIAN.glob(f"{package}_*.deb")
    return _quietly("dpkg-deb", "-f", str(archive), "Depends")


def _is_installed(package: str) -> bool:
    asked = ["dpkg-query", "-W", "-f", "${Status}", package]
    return "ok installed" in subprocess.run(asked, capture_output=True, text=True, check=False).stdout


def _quietly(*command: str) -> str:
    """Its output. Raises CalledProcessError with what it said."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=DEBIAN, check=True).stdout


def has_library(name: str) -> bool:
    """Whether the machine's loader finds the shared library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def has_chinese_font() -> bool:
    """Whether some font for Chinese is installed, by the names of the usual ones."""
    folders = [Path(os.path.expanduser(folder)) for folder in FONT_FOLDERS]  # Unlike Path's, it needs no home.
    return any(FONT_NAMES.search(path.name) for folder in folders if folder.is_dir() for path in folder.rglob("*"))


def say(text: str, *, end: str = "", step: int = 0, always: bool = False) -> None:
    """A line that the next one overwrites on a terminal; elsewhere each that is said `always`, and each twentieth step."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end=end, flush=True)
    elif always or (step and step % 20 == 0):
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
