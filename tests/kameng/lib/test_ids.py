"""Public ids."""

from __future__ import annotations

import pytest

from kameng.lib import ids


class TestPublicId:
    def test_carries_its_kind_and_twenty_characters_of_crockford(self) -> None:
        kind, _, token = ids.public_id("ord").partition("_")

        assert kind == "ord"
        assert len(token) == 20
        assert set(token) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")

    def test_does_not_repeat_itself(self) -> None:
        assert len({ids.public_id("trf") for _ in range(1000)}) == 1000

    def test_takes_five_bits_of_each_random_byte(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "kameng.lib.ids.secrets.token_bytes", lambda length: bytes([0b00000111, 0b11000001, 0b11110000][:length])
        )

        assert ids.random_token(4) == "0Z0Z"


class TestSchemaName:
    @pytest.mark.parametrize(
        ("serial", "name"), [(1, "s_0000001"), (42, "s_0000042"), (9_999_999, "s_9999999"), (10_000_000, "s_10000000")]
    )
    def test_is_opaque_and_padded(self, serial: int, name: str) -> None:
        assert ids.schema_name(serial) == name
