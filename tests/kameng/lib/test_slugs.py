"""Shop addresses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kameng.lib import _reserved, slugs


class TestValidate:
    @pytest.mark.parametrize(
        ("raw", "slug"),
        [
            ("lucky-card", "lucky-card"),
            ("  Lucky-Card ", "lucky-card"),
            ("ＬＵＣＫＹ８", "lucky8"),
            ("abc", "abc"),
            ("a" * 30, "a" * 30),
            ("8848-game", "8848-game"),
            ("a-b-c", "a-b-c"),
            ("stripes", "stripes"),
            ("steamy-tea", "steamy-tea"),
            ("pineapples", "pineapples"),
        ],
    )
    def test_gives_the_address_to_store(self, raw: str, slug: str) -> None:
        assert slugs.validate(raw) == slug
        assert slugs.is_valid(raw)

    @pytest.mark.parametrize(
        ("raw", "code"),
        [
            ("", "address_too_short"),
            ("  ", "address_too_short"),
            ("ab", "address_too_short"),
            ("a" * 31, "address_too_long"),
            ("a" * 100_000, "address_too_long"),
            ("卡盟", "address_not_latin"),
            ("магазин", "address_not_latin"),
            ("аlipay", "address_mixed_script"),
            ("luсky", "address_mixed_script"),
            ("shop卡", "address_mixed_script"),
            ("lücky", "address_mixed_script"),
            ("lucky.card", "address_bad_character"),
            ("lucky card", "address_bad_character"),
            ("lucky_card", "address_bad_character"),
            ("lucky\u200bcard", "address_bad_character"),
            ("lucky\x00", "address_bad_character"),
            ("lucky🎮", "address_bad_character"),
            ("../etc/passwd", "address_bad_character"),
            ("'; drop schema public", "address_bad_character"),
            ("<script>", "address_bad_character"),
            ("-lucky", "address_hyphen_misplaced"),
            ("lucky-", "address_hyphen_misplaced"),
            ("lucky--card", "address_hyphen_misplaced"),
            ("xn--80ak6aa92e", "address_encoded"),
            ("123456", "address_without_letter"),
            ("192-168-1-1", "address_without_letter"),
            ("www", "address_reserved"),
            ("ADMIN", "address_reserved"),
            ("a-p-i", "address_reserved"),
            ("main-station", "address_reserved"),
            ("ns1", "address_reserved"),
            ("alipay", "address_brand_like"),
            ("a1ipay-vip", "address_brand_like"),
            ("my-wechat-shop", "address_brand_like"),
            ("we-chat", "address_brand_like"),
            ("karneng", "address_brand_like"),
            ("stripe-shop", "address_brand_like"),
            ("5tripe", "address_brand_like"),
            ("steam", "address_brand_like"),
        ],
    )
    def test_refuses_with_a_code_of_its_own(self, raw: str, code: str) -> None:
        with pytest.raises(slugs.AddressRefused) as caught:
            slugs.validate(raw)

        assert (caught.value.code, caught.value.field, caught.value.status) == (code, "slug", 422)
        assert not slugs.is_valid(raw)

    def test_names_the_character_that_is_wrong(self) -> None:
        with pytest.raises(slugs.AddressBadCharacter, match="“_” can't be part of an address"):
            slugs.validate("lucky_card")
        with pytest.raises(slugs.AddressBadCharacter, match=r"“U\+200B” can't be part"):
            slugs.validate("lucky\u200bcard")
        with pytest.raises(slugs.AddressMixedScript, match="“с” is not a Latin letter"):
            slugs.validate("luсky")

    @pytest.mark.parametrize("word", sorted(_reserved.WORDS))
    def test_keeps_every_reserved_word(self, word: str) -> None:
        assert not slugs.is_valid(word)

    @pytest.mark.parametrize("brand", [*_reserved.BRANDS_ANYWHERE, *_reserved.BRANDS_AS_PART])
    def test_keeps_every_brand_also_with_a_word_behind(self, brand: str) -> None:
        assert not slugs.is_valid(brand)
        assert not slugs.is_valid(f"{brand}-vip")

    @given(st.text())
    def test_whatever_it_accepts_is_a_host_label(self, raw: str) -> None:
        if slugs.is_valid(raw):
            slug = slugs.validate(raw)
            assert slug == slugs.validate(slug)
            assert 3 <= len(slug) <= 30
            assert slug.encode("ascii").replace(b"-", b"").isalnum()


class TestSuggest:
    def test_offers_free_addresses_near_the_wanted_one(self) -> None:
        asked: list[Sequence[str]] = []

        def taken(candidates: Sequence[str]) -> set[str]:
            asked.append(candidates)
            return {"lucky", "lucky-card"}

        assert slugs.suggest("Lucky", taken) == ["lucky-shop", "lucky-store", "my-lucky", "lucky-mall"]
        assert len(asked) == 1

    @pytest.mark.parametrize(
        ("wanted", "first"),
        [
            ("Café  Größe", "cafe-gro-e"),
            ("卡盟", "lucky-card"),
            ("--a--b--", "a-b"),
            ("x" * 50, "x" * 24),
            ("www", "www-shop"),
            ("888", "888-shop"),
        ],
    )
    def test_makes_something_valid_of_anything(self, wanted: str, first: str) -> None:
        suggestions = slugs.suggest(wanted, lambda _: ())

        assert suggestions[0] == first
        assert len(suggestions) == 4
        assert all(slugs.is_valid(one) for one in suggestions)

    def test_offers_nothing_near_a_protected_brand(self) -> None:
        assert slugs.suggest("alipay", lambda _: ()) == []

    def test_offers_nothing_when_all_is_taken(self) -> None:
        assert slugs.suggest("lucky", lambda candidates: candidates) == []
