"""Codes at rest."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kameng.lib import crypto
from kameng.lib.crypto import CodeUnreadable, CodeUnwritable, KeyRing, KeyRingBroken, Sealed


def b64(byte: int, length: int = 32) -> str:
    return base64.b64encode(bytes([byte]) * length).decode()


def ring_text(**changes: Any) -> str:
    return json.dumps({"current": "k1", "keys": {"k1": b64(1)}, "index": b64(9)} | changes)


RING = KeyRing.from_json(ring_text())
NEWER = KeyRing.from_json(ring_text(current="k2", keys={"k1": b64(1), "k2": b64(2)}))


class TestReadingTheRing:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("k1", "not JSON"),
            ("[]", "needs"),
            ("{}", "needs"),
            (ring_text(keys={}), "needs"),
            (ring_text(current="k2"), '"current" names no key'),
            (ring_text(keys={"k1": "no base64!"}), r'keys\["k1"\] is not 32 bytes'),
            (ring_text(keys={"k1": b64(1, 16)}), r'keys\["k1"\] is not 32 bytes'),
            (ring_text(index=None), "index is not 32 bytes"),
            (ring_text(index=b64(1)), "the same key"),
            (ring_text(keys={"k1": b64(1), "k0": b64(1)}), "the same key"),
        ],
    )
    def test_refuses_a_broken_one_by_naming_the_part(self, text: str, problem: str) -> None:
        with pytest.raises(KeyRingBroken, match=problem):
            KeyRing.from_json(text)

    def test_shows_no_key_in_its_repr_or_its_errors(self) -> None:
        secret = b64(7, 31)

        with pytest.raises(KeyRingBroken) as caught:
            KeyRing.from_json(ring_text(index=secret))

        assert secret not in str(caught.value)
        assert repr(NEWER) == "<KeyRing current=k2 versions=['k1', 'k2']>"

    def test_a_fresh_ring_works_and_is_never_the_same(self) -> None:
        ring = KeyRing.from_json(crypto.fresh_ring_json())

        assert ring.decrypt(ring.encrypt("ABC", b""), b"") == "ABC"
        assert crypto.fresh_ring_json() != crypto.fresh_ring_json()

    def test_a_new_key_becomes_current_and_the_old_ones_stay(self) -> None:
        text = crypto.ring_json_with_new_key(ring_text(current="k2", keys={"k2": b64(2)}))

        raw = json.loads(text)
        assert raw["current"] == "k3"
        assert raw["keys"]["k2"] == b64(2)
        assert raw["index"] == b64(9)
        assert KeyRing.from_json(text).current == "k3"


class TestEncrypting:
    @given(st.text(st.characters(exclude_categories=["Cs"])), st.binary())
    def test_opens_to_the_same_text(self, plaintext: str, aad: bytes) -> None:
        assert RING.decrypt(RING.encrypt(plaintext, aad), aad) == plaintext

    def test_names_its_key_and_adds_28_bytes(self) -> None:
        sealed = RING.encrypt("ABCD-1234", b"STEAM-CN-100")

        assert sealed.key_version == "k1"
        assert len(sealed.blob) == 12 + 9 + 16
        assert b"ABCD" not in sealed.blob

    def test_never_makes_the_same_blob_twice(self) -> None:
        assert RING.encrypt("A", b"").blob != RING.encrypt("A", b"").blob

    def test_encrypts_a_stream_in_order_with_fresh_nonces(self) -> None:
        codes = [f"CODE-{number}" for number in range(10_000)]

        sealed = list(RING.encrypt_many(iter(codes), b"sku"))

        assert [RING.decrypt(one, b"sku") for one in sealed] == codes
        assert len({one.blob[:12] for one in sealed}) == 10_000

    def test_reads_what_the_database_hands_out(self) -> None:
        sealed = RING.encrypt("A", b"")

        assert RING.decrypt(Sealed("k1", memoryview(sealed.blob)), b"") == "A"  # type: ignore[arg-type]

    def test_refuses_half_a_character_without_quoting_the_text(self) -> None:
        with pytest.raises(CodeUnwritable) as caught:
            RING.encrypt("secret\ud800", b"")

        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None


class TestTampering:
    @pytest.mark.parametrize("position", [0, 11, 12, 20, -1])
    def test_refuses_a_changed_byte(self, position: int) -> None:
        sealed = RING.encrypt("ABCD-1234", b"sku")
        changed = bytearray(sealed.blob)
        changed[position] ^= 1

        with pytest.raises(CodeUnreadable):
            RING.decrypt(Sealed("k1", bytes(changed)), b"sku")

    @pytest.mark.parametrize("blob", [b"", b"x" * 27])
    def test_refuses_a_cut_blob(self, blob: bytes) -> None:
        with pytest.raises(CodeUnreadable):
            RING.decrypt(Sealed("k1", blob), b"")

    def test_refuses_a_blob_that_was_moved_to_another_sku(self) -> None:
        with pytest.raises(CodeUnreadable):
            RING.decrypt(RING.encrypt("A", b"STEAM-CN-100"), b"STEAM-CN-200")

    def test_refuses_a_key_that_is_not_in_the_ring(self) -> None:
        with pytest.raises(CodeUnreadable) as caught:
            RING.decrypt(NEWER.encrypt("A", b""), b"")

        assert caught.value.details == {"key_version": "k2"}

    def test_refuses_a_blob_under_another_key_s_name(self) -> None:
        with pytest.raises(CodeUnreadable):
            NEWER.decrypt(Sealed("k1", NEWER.encrypt("A", b"").blob), b"")


class TestRotation:
    def test_reads_old_blobs_and_says_that_they_are_old(self) -> None:
        old = RING.encrypt("ABC", b"sku")

        assert NEWER.decrypt(old, b"sku") == "ABC"
        assert NEWER.needs_rotation(old)
        assert not RING.needs_rotation(old)

    def test_moves_to_the_current_key_once(self) -> None:
        moved = NEWER.rotate(RING.encrypt("ABC", b"sku"), b"sku")

        assert moved.key_version == "k2"
        assert NEWER.decrypt(moved, b"sku") == "ABC"
        assert NEWER.rotate(moved, b"sku") is moved

    def test_moves_credentials_too(self) -> None:
        moved = NEWER.rotate_secret(RING.seal_secret("sk_1", b"m1"), b"m1")

        assert moved.key_version == "k2"
        assert NEWER.open_secret(moved, b"m1") == "sk_1"
        assert NEWER.rotate_secret(moved, b"m1") is moved

    def test_keeps_the_blind_index(self) -> None:
        assert NEWER.blind_index("ABC") == RING.blind_index("ABC")


class TestCredentials:
    def test_open_to_the_same_text(self) -> None:
        assert RING.open_secret(RING.seal_secret("sk_test_1", b"merchant:1"), b"merchant:1") == "sk_test_1"

    def test_can_not_be_passed_off_as_codes_nor_the_reverse(self) -> None:
        with pytest.raises(CodeUnreadable):
            RING.decrypt(RING.seal_secret("sk", b"x"), b"x")
        with pytest.raises(CodeUnreadable):
            RING.open_secret(RING.encrypt("sk", b"x"), b"x")


class TestBlindIndex:
    def test_is_sixteen_bytes_of_hmac(self) -> None:
        assert RING.blind_index("ABC-123").hex() == "7b41c6d3d6a02a28368731205dd19bb6"

    def test_depends_on_the_index_key(self) -> None:
        other = KeyRing.from_json(ring_text(index=b64(8)))

        assert other.blind_index("ABC-123") != RING.blind_index("ABC-123")

    @pytest.mark.parametrize(
        "retyped",
        [
            " ABC-12 3",
            "ABC-12 3\r\n",
            "ABC-12\u00a03",
            "ABC-12   3",
            "ABC-12\t3",
            "\ufeffABC-12 3",
            "AB\u200bC-12 3",
            "ＡＢＣ－１２　３",
            "ABC–12 3",
        ],
    )
    def test_finds_the_same_code_typed_again(self, retyped: str) -> None:
        assert RING.blind_index(retyped) == RING.blind_index("ABC-12 3")

    @pytest.mark.parametrize("other", ["abc-12 3", "ABC12 3", "ABC-123", "AB-C12 3", "ABC-12 30"])
    def test_does_not_merge_codes_that_differ(self, other: str) -> None:
        assert RING.blind_index(other) != RING.blind_index("ABC-12 3")


class TestMask:
    @pytest.mark.parametrize(
        ("code", "shown"),
        [
            ("ABCD-EFGH-IJKL", "••••IJKL"),
            ("123456789012", "••••9012"),
            ("12345678", "••••78"),
            ("123", "••••3"),
            ("12", "••••"),
            ("", "••••"),
            ("6001234567890----998877665544", "••••7890----••••"),
        ],
    )
    def test_shows_the_last_four_at_most_and_no_password(self, code: str, shown: str) -> None:
        assert crypto.mask(code) == shown
