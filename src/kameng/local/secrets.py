"""The secrets of one copy: made once, kept in a file that its owner alone reads, handed to processes by environment."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kameng.local._state import read_json, write_private
from kameng.local.errors import LocalError

FILE = "secrets.json"
KEY_BYTES = 32  # AES-256 and HMAC-SHA256, as kameng.lib.crypto asks.


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """`code_keys` is the JSON ring that kameng.lib.crypto reads. No repr: a traceback would print them."""

    secret_key: str
    code_keys: str
    testpay_secret: str

    def environment(self, present: Mapping[str, str]) -> dict[str, str]:
        """The variables to add to `present`: whoever sets one himself keeps his own."""
        own = {
            "KAMENG_SECRET_KEY": self.secret_key,
            "KAMENG_CODE_KEYS": self.code_keys,
            "KAMENG_TESTPAY_SECRET": self.testpay_secret,
        }
        return {name: value for name, value in own.items() if not present.get(name)}


def ensure(data_dir: Path) -> Secrets:
    """The secrets of `data_dir`, made the first time. Two processes that come at once get the same.

    Raises LocalError when they are gone while a database is there: new keys could not read its codes.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / FILE
    if not path.exists():
        if (data_dir / "postgres" / "cluster").exists():
            raise LocalError(f"{path} is missing, and the codes in the database can't be read without it. Put it back.")
        _make(path)
    value = read_json(path)
    try:
        return Secrets(
            secret_key=value["secret_key"],
            code_keys=json.dumps(value["code_keys"]),
            testpay_secret=value["testpay_secret"],
        )
    except KeyError as error:
        raise LocalError(f"{path} is damaged: it has no {error}.") from error


def _make(path: Path) -> None:
    value = {
        "secret_key": secrets.token_urlsafe(48),
        "code_keys": {"current": "k1", "keys": {"k1": _random_key()}, "index": _random_key()},
        "testpay_secret": secrets.token_urlsafe(32),
    }
    mine = path.with_name(f"{path.name}.{os.getpid()}")
    write_private(mine, json.dumps(value, indent=1) + "\n")
    try:
        os.link(mine, path)  # Unlike a rename, it refuses when somebody was faster; then theirs holds.
    except FileExistsError:
        return
    finally:
        mine.unlink()


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
