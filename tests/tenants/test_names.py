"""Which names can be a shop's own domain, and what is said of those that can't."""

from __future__ import annotations

import pytest
from django.test import override_settings

from tenants import names


class TestTaken:
    @pytest.mark.parametrize(
        ("typed", "name"),
        [
            ("shop.example.com", "shop.example.com"),
            ("  HTTPS://Shop.Example.COM/a/b?c=d ", "shop.example.com"),
            ("shop.example.com.", "shop.example.com"),
            ("lucky-cards.com.cn", "lucky-cards.com.cn"),
            ("点卡商城.中国", "xn--hlry7bt5c755b.xn--fiqs8s"),
            ("xn--hlry7bt5c755b.xn--fiqs8s", "xn--hlry7bt5c755b.xn--fiqs8s"),
            ("müller-karten.de", "xn--mller-karten-dlb.de"),
            ("ｓｈｏｐ．example．com", "shop.example.com"),
            ("卡card.com", "xn--card-9u0g.com"),
            ("sh\u200bop.example.com", "shop.example.com"),
            ("магазин.рф", "xn--80aairftm.xn--p1ai"),
            ("smørrebrød.dk", "xn--smrrebrd-64af.dk"),
            ("łódź.pl", "xn--d-uga0v4h.pl"),
            ("straßenkarten.de", "xn--straenkarten-o9a.de"),
            ("ısparta-kart.com", "xn--sparta-kart-yzb.com"),
            ("þórshöfn.is", "xn--rshfn-ztay3d.is"),
            ("thẻđiệntử.vn", "xn--thint-6ya1724c2ca3p.vn"),
            ("lıdl.com", "xn--ldl-jua.com"),
        ],
    )
    def test_as_dns_has_it(self, typed: str, name: str) -> None:
        assert names.clean(typed) == name

    def test_is_shown_as_a_person_reads_it(self) -> None:
        assert names.shown(names.clean("点卡商城.中国")) == "点卡商城.中国"

    @pytest.mark.parametrize(
        ("name", "apex"),
        [("example.com", True), ("example.com.cn", True), ("shop.example.com", False), ("a.github.io", True)],
    )
    def test_what_was_registered_can_t_be_an_alias(self, name: str, apex: bool) -> None:
        assert names.is_apex(name) is apex


class TestRefused:
    @pytest.mark.parametrize(
        ("typed", "kind", "said"),
        [
            ("*.example.com", names.Wildcard, "Add each name"),
            ("shop.*.com", names.Wildcard, "Add each name"),
            ("203.0.113.7", names.IpAddress, "IP address"),
            ("[2001:db8::1]", names.IpAddress, "IP address"),
            ("2001:db8::1", names.IpAddress, "IP address"),
            ("http://2130706433/", names.IpAddress, "IP address"),
            ("127.1", names.IpAddress, "IP address"),
            ("0x7f.0x1", names.IpAddress, "IP address"),
            ("localhost", names.NotAName, "no domain name"),
            ("alice.localhost", names.OurOwn, "belongs to the platform"),
            ("a.b.localhost", names.OurOwn, "belongs to the platform"),
            ("shop.local", names.PublicSuffix, "not reached from outside"),
            ("shop.internal", names.PublicSuffix, "not reached from outside"),
            ("com.cn", names.PublicSuffix, "nobody's own"),
            ("github.io", names.PublicSuffix, "nobody's own"),
            ("公司.cn", names.PublicSuffix, "nobody's own"),
            ("", names.NotAName, "no domain name"),
            ("shop", names.NotAName, "no domain name"),
            ("shop_1.example.com", names.NotAName, "no domain name"),
            ("shop..example.com", names.NotAName, "no domain name"),
            ("-shop.example.com", names.NotAName, "no domain name"),
            ("shop.example.com:8080", names.NotAName, "no domain name"),
            ("me@example.com", names.NotAName, "no domain name"),
            ("xn--zzzzzzz99.com", names.NotAName, "no domain name"),
            ("☃.com", names.NotAName, "no domain name"),
            (f"{'a' * 64}.com", names.NotAName, "no domain name"),
            (".".join(["abcdefghi"] * 25) + ".com", names.NameTooLong, "at most 235 characters"),
            ("a" * 5_000, names.NameTooLong, "at most 235 characters"),
            ("раyment-center.com", names.Lookalike, "several scripts"),
            ("сһор.com", names.Lookalike, "reads as"),
            ("xn--e1awd7f.com", names.Lookalike, "reads as “epic”"),
            ("αlpha-shop.com", names.Lookalike, "several scripts"),
            ("alipay-cards.com", names.Lookalike, "known company"),
            ("a1ipay.net", names.Lookalike, "known company"),
            ("secure.pаypal.com", names.Lookalike, "several scripts"),
            ("kameng.com", names.Lookalike, "known company"),
            ("ɢoogle.com", names.Lookalike, "reads as “google”"),
            ("ʟinkedin.com", names.Lookalike, "reads as “linkedin”"),
            ("ᴀlipay.com", names.Lookalike, "reads as “alipay”"),
            ("ᴘᴀʏᴘᴀʟ.com", names.Lookalike, "reads as “paypal”"),
            ("ɡreat-cards.com", names.Lookalike, "reads as “great-cards”"),
            ("ɑlipay.com", names.Lookalike, "known company"),
            ("gøøgle.com", names.Lookalike, "known company"),
            ("alıpay.com", names.Lookalike, "known company"),
            ("aǀipay.com", names.Lookalike, "known company"),
            ("łinkedin.com", names.Lookalike, "known company"),
            ("þaypal.com", names.Lookalike, "known company"),
            ("ŧencent-cards.com", names.Lookalike, "known company"),
            ("shop.ađobe.com", names.Lookalike, "known company"),
            ("xn--ggle-graa.com", names.Lookalike, "known company"),
            ("alipay充值.com", names.Lookalike, "known company"),
            ("点卡ɑlipay.com", names.Lookalike, "known company"),
        ],
    )
    def test_in_words_that_say_what_to_do(self, typed: str, kind: type[names.DomainRefused], said: str) -> None:
        with pytest.raises(names.DomainRefused) as caught:
            names.clean(typed)

        assert type(caught.value) is kind, caught.value
        assert said in str(caught.value)
        assert caught.value.field == "domain"

    def test_the_longest_that_leaves_room_for_the_challenge(self) -> None:
        label, rest = "a" * 63, ".example.com"
        longest = f"{label}.{label}.{label}." + "b" * (names.MAX_LENGTH - 3 * 64 - len(rest)) + rest

        assert names.clean(longest) == longest
        assert len(f"{names.CHALLENGE}.{longest}") == 253
        with pytest.raises(names.NameTooLong):
            names.clean("b" + longest)

    def test_our_own_host_is_the_one_that_is_set(self) -> None:
        with override_settings(BASE_DOMAIN="kamang.shop"):
            for typed in ("kamang.shop", "KAMANG.shop.", "alice.kamang.shop", "x.alice.kamang.shop"):
                with pytest.raises(names.OurOwn):
                    names.clean(typed)
            assert names.clean("notkamang.shop") == "notkamang.shop"
