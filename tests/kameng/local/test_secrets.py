"""The secrets of one copy: once, private, and never made anew over data that needs the old ones."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from kameng.local import secrets
from kameng.local.errors import LocalError


class TestEnsure:
    def test_makes_them_once(self, tmp_path: Path) -> None:
        first, second = secrets.ensure(tmp_path / "data"), secrets.ensure(tmp_path / "data")

        assert first.environment({}) == second.environment({})

    def test_differs_between_copies(self, tmp_path: Path) -> None:
        first, second = (secrets.ensure(tmp_path / name).environment({}) for name in "ab")

        assert not set(first.values()) & set(second.values())

    def test_keeps_them_to_the_owner(self, tmp_path: Path) -> None:
        secrets.ensure(tmp_path)

        assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]

    def test_makes_a_ring_with_keys_of_32_bytes(self, tmp_path: Path) -> None:
        ring = json.loads(secrets.ensure(tmp_path).code_keys)

        assert ring["current"] == "k1"
        assert [len(base64.b64decode(text)) for text in (ring["keys"]["k1"], ring["index"])] == [32, 32]

    def test_refuses_to_make_new_ones_for_a_database_that_is_there(self, tmp_path: Path) -> None:
        (tmp_path / "postgres" / "cluster").mkdir(parents=True)

        with pytest.raises(LocalError, match="can't be read without it"):
            secrets.ensure(tmp_path)

        assert not (tmp_path / "secrets.json").exists()

    def test_says_that_the_file_is_damaged(self, tmp_path: Path) -> None:
        (tmp_path / "secrets.json").write_text('{"secret_key": "only"}')

        with pytest.raises(LocalError, match=r"damaged: it has no 'code_keys'"):
            secrets.ensure(tmp_path)

    def test_leaves_what_the_environment_has(self, tmp_path: Path) -> None:
        added = secrets.ensure(tmp_path).environment({"KAMENG_SECRET_KEY": "mine", "KAMENG_CODE_KEYS": ""})

        assert sorted(added) == ["KAMENG_CODE_KEYS", "KAMENG_TESTPAY_SECRET"]

    def test_does_not_print_them(self, tmp_path: Path) -> None:
        own = secrets.ensure(tmp_path)

        assert own.secret_key not in repr(own)
