"""The proof-of-work captcha."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kameng.lib import pow as proof
from kameng.lib.errors import Invalid
from kameng.lib.pow import ChallengeExpired, ChallengeForged, ProofInsufficient

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
SECRET = b"a secret of the installation"


@pytest.fixture
def challenge() -> str:
    return proof.issue(SECRET, "signup", NOW, 8)


def insufficient(challenge: str) -> str:
    return next(str(number) for number in range(1000) if proof.zero_bits(challenge, str(number)) < 8)


class TestIssue:
    def test_states_its_bits_and_its_end(self, challenge: str) -> None:
        version, bits, expires, token, signature = challenge.split(".")

        assert (version, bits, expires) == ("v1", "8", str(int(NOW.timestamp()) + 600))
        assert (len(token), len(signature)) == (32, 64)
        assert proof.expires_at(challenge) == NOW + timedelta(minutes=10)

    def test_is_new_each_time(self) -> None:
        assert proof.issue(SECRET, "signup", NOW, 8) != proof.issue(SECRET, "signup", NOW, 8)

    @pytest.mark.parametrize("bits", [0, -1, 31, 256])
    def test_refuses_a_difficulty_that_is_a_mistake(self, bits: int) -> None:
        with pytest.raises(ValueError, match="bits"):
            proof.issue(SECRET, "signup", NOW, bits)


class TestCheck:
    def test_accepts_the_work(self, challenge: str) -> None:
        proof.check(SECRET, challenge, proof.solve(challenge), "signup", NOW + timedelta(seconds=599))

    def test_refuses_too_little_work(self, challenge: str) -> None:
        with pytest.raises(ProofInsufficient):
            proof.check(SECRET, challenge, insufficient(challenge), "signup", NOW)

    @pytest.mark.parametrize("nonce", ["", " 1", "1\n", "x" * 65, "零", "a:b"])
    def test_refuses_a_nonce_that_is_none(self, challenge: str, nonce: str) -> None:
        with pytest.raises(ProofInsufficient):
            proof.check(SECRET, challenge, nonce, "signup", NOW)

    def test_refuses_it_from_its_last_second_on(self, challenge: str) -> None:
        with pytest.raises(ChallengeExpired):
            proof.check(SECRET, challenge, proof.solve(challenge), "signup", NOW + timedelta(seconds=600))

    def test_refuses_it_for_another_form(self, challenge: str) -> None:
        with pytest.raises(ChallengeForged):
            proof.check(SECRET, challenge, proof.solve(challenge), "lookup", NOW)

    def test_refuses_it_with_another_secret(self, challenge: str) -> None:
        with pytest.raises(ChallengeForged):
            proof.check(b"other", challenge, proof.solve(challenge), "signup", NOW)

    @pytest.mark.parametrize(
        ("old", "new"), [("v1.8.", "v1.1."), ("v1.8.1", "v1.8.2"), ("v1.", "v2."), ("v1.8.", "v1.08.")]
    )
    def test_refuses_one_made_easier_or_longer(self, challenge: str, old: str, new: str) -> None:
        changed = challenge.replace(old, new, 1)

        with pytest.raises(ChallengeForged):
            proof.check(SECRET, changed, "0", "signup", NOW)

    @pytest.mark.parametrize("text", ["", "v1", "....", "v1.8.99999999999999.0.0", "x" * 100_000, "\x00"])
    def test_refuses_what_is_no_challenge(self, text: str) -> None:
        with pytest.raises(ChallengeForged):
            proof.check(SECRET, text, "0", "signup", NOW)
        with pytest.raises(ChallengeForged):
            proof.expires_at(text)

    def test_each_refusal_has_its_code_and_is_the_sender_s_mistake(self) -> None:
        kinds = [ChallengeForged, ChallengeExpired, ProofInsufficient]

        assert [kind.code for kind in kinds] == ["challenge_forged", "challenge_expired", "proof_insufficient"]
        assert all(issubclass(kind, Invalid) for kind in kinds)


class TestZeroBits:
    @pytest.mark.parametrize(
        ("challenge", "nonce", "bits"),
        [("c", "4", 0), ("c", "0", 1), ("c", "15", 4), ("c", "557", 9), ("c", "15452", 13)],
    )
    def test_counts_the_leading_zeros_of_the_hash(self, challenge: str, nonce: str, bits: int) -> None:
        assert proof.zero_bits(challenge, nonce) == bits


class TestReplayKey:
    def test_is_stable_and_differs_between_challenges(self, challenge: str) -> None:
        other = proof.issue(SECRET, "signup", NOW, 8)

        assert proof.replay_key(challenge) == proof.replay_key(challenge)
        assert proof.replay_key(challenge) != proof.replay_key(other)
        assert proof.replay_key("abc") == "pow:ba7816bf8f01cfea414140de5dae2223"
