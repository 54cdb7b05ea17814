"""What a buyer types, before any database is asked."""

from __future__ import annotations

import pytest

from tenant_apps.orders import checkout, identity


class TestContact:
    @pytest.mark.parametrize(
        ("typed", "kept"),
        [
            (" Ann@Example.COM ", "Ann@example.com"),
            ("138 0013-8000", "13800138000"),
            ("+86 138 0013 8000", "+8613800138000"),
            ("10001", "10001"),
        ],
    )
    def test_takes_mail_phone_and_qq(self, typed: str, kept: str) -> None:
        assert checkout.clean_contact(typed) == kept

    @pytest.mark.parametrize("typed", ["", "ann", "ann@", "1234", "1" * 16, "ann@example", f"{'a' * 130}@example.com"])
    def test_refuses_what_reaches_nobody(self, typed: str) -> None:
        with pytest.raises(checkout.FieldProblem) as refused:
            checkout.clean_contact(typed)

        assert refused.value.field == "contact"


class TestBuyerFields:
    FIELDS = (
        {"key": "uid", "kind": "text", "required": True},
        {"key": "zone", "kind": "choice", "required": True, "choices": ["cn", {"value": "global"}]},
        {"key": "phone", "kind": "phone", "required": False},
    )

    def test_keeps_what_is_asked_for_and_drops_the_rest(self) -> None:
        given = {"uid": "  12  34 ", "zone": "global", "phone": "", "other": "x"}

        assert checkout.clean_buyer_fields(self.FIELDS, given) == {"uid": "12 34", "zone": "global"}

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"zone": "cn"}, "buyer_fields.uid"),
            ({"uid": "1", "zone": "mars"}, "buyer_fields.zone"),
            ({"uid": "1", "zone": "cn", "phone": "abc"}, "buyer_fields.phone"),
            ({"uid": "1" * 201, "zone": "cn"}, "buyer_fields.uid"),
        ],
    )
    def test_names_the_field_that_is_wrong(self, given: dict[str, str], field: str) -> None:
        with pytest.raises(checkout.FieldProblem) as refused:
            checkout.clean_buyer_fields(self.FIELDS, given)

        assert refused.value.field == field


class TestIdentity:
    def test_a_number_survives_being_read_out(self) -> None:
        number = identity.new_number()

        assert len(number) == 15
        assert identity.clean_number(f" {number[:5].lower()}-{number[5:]} ") == number
        assert identity.clean_number("KOIL0") == "K0110"

    def test_a_password_opens_its_own_order_only(self) -> None:
        digest = identity.lookup_digest("KAAA", "secret 1")

        assert identity.lookup_matches(digest, "KAAA", "SECRET1")
        assert not identity.lookup_matches(digest, "KAAB", "SECRET1")
        assert not identity.lookup_matches(digest, "KAAA", "SECRET2")

    def test_the_mailed_link_opens_its_own_order_only(self) -> None:
        digest = identity.token_digest("T" * 32)

        assert identity.opens(digest, "KAAA", identity.mailed_token("KAAA"))
        assert identity.opens(digest, "KAAA", "T" * 32)
        assert not identity.opens(digest, "KAAA", identity.mailed_token("KAAB"))
        assert not identity.opens(digest, "KAAA", "")

    @pytest.mark.parametrize(
        ("contact", "hint"),
        [("ann@example.com", "a***@example.com"), ("13800138000", "138****8000"), ("10001", "10****1")],
    )
    def test_a_hint_does_not_tell_the_contact(self, contact: str, hint: str) -> None:
        assert identity.contact_hint(contact) == hint
