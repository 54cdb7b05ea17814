"""A product's page and the order placed from it, with a script and without."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from tenant_apps.listings.models import Listing
from tenant_apps.orders.models import Order
from tenant_apps.payments import services as payments
from tests.tenant_apps import market
from tests.tenant_apps.storefront.conftest import Stall, recount, set_markup, words

FIELDS = (
    {"key": "contact", "label_zh": "联系人", "label_en": "Recipient", "kind": "text", "required": True},
    {"key": "phone", "label_zh": "电话", "label_en": "Phone", "kind": "phone", "required": True},
    {"key": "area", "label_zh": "区服", "label_en": "Server", "kind": "choice", "choices": ["EU", "US"]},
    {"key": "note", "label_zh": "备注", "label_en": "Note", "kind": "text", "required": False},
)


def hidden(response: Any, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', response.content.decode())
    assert found is not None, name
    return found[1]


class TestPage:
    def test_shows_price_total_and_the_words_of_the_product(self, stall: Stall) -> None:
        response = stall.visitor().get(stall.path)

        seen = words(response)
        assert response.status_code == 200
        assert "¥11.40" in seen
        assert "delivered at once" in seen
        assert hidden(response, "expected_total_minor") == "1140"

    def test_says_what_is_saved_and_against_what(self, stall: Stall) -> None:
        seen = words(stall.visitor().get(stall.path))

        assert "Recommended price ¥12.00" in seen
        assert "saves ¥0.60" in seen
        assert "5% less than that" in seen

    def test_holds_the_price_against_the_face_value_where_there_is_one(self, stall: Stall) -> None:
        with in_main():
            from shared_apps.library.models import Sku

            Sku.objects.filter(pk=stall.goods.sku_id).update(face_value=Decimal(15))
        stall.sync()

        assert "Face value ¥15.00" in words(stall.visitor().get(stall.path))

    def test_claims_no_saving_where_there_is_none(self, stall: Stall) -> None:
        set_markup(stall, 30)

        assert "saves" not in words(stall.visitor().get(stall.path))

    def test_counts_another_quantity_by_its_address_alone(self, stall: Stall) -> None:
        response = stall.visitor().get(stall.path, {"sku": stall.goods.sku_id, "quantity": 3})

        assert hidden(response, "expected_total_minor") == "3420"
        assert "¥34.20" in words(response)

    def test_hands_a_script_only_what_follows_the_choice(self, stall: Stall) -> None:
        response = stall.visitor().get(
            stall.path, {"sku": stall.goods.sku_id, "quantity": 2}, headers={"HX-Target": "price"}
        )

        assert b"<html" not in response.content
        assert hidden(response, "expected_total_minor") == "2280"
        assert response["HX-Replace-Url"] == f"{stall.path}?sku={stall.goods.sku_id}&quantity=2"

    @pytest.mark.parametrize("quantity", ["0", "-1", "1000000000", "x", "", "1e3", "２"])
    @pytest.mark.parametrize("sku", ["0", "x", "99999999999999999999"])
    def test_takes_any_address_for_a_product(self, stall: Stall, sku: str, quantity: str) -> None:
        response = stall.visitor().get(stall.path, {"sku": sku, "quantity": quantity})

        assert response.status_code == 200
        assert hidden(response, "expected_total_minor") == "1140"

    def test_tells_search_engines_name_price_and_stock(self, stall: Stall) -> None:
        page = stall.visitor().get(stall.path).content.decode()

        found = re.search(r'<script type="application/ld\+json" nonce="[^"]+">(.*?)</script>', page)
        assert found is not None
        data = json.loads(found[1])
        assert data["@type"] == "Product"
        assert data["offers"]["offers"][0]["price"] == "11.4"
        assert data["offers"]["offers"][0]["availability"] == "https://schema.org/InStock"
        assert f'<link rel="canonical" href="http://{stall.shop.slug}.localhost{stall.path}">' in page

    def test_has_a_new_nonce_and_a_token_of_the_visitors_own_each_time(self, stall: Stall) -> None:
        first, second = stall.visitor().get(stall.path), stall.visitor().get(stall.path)

        nonces = [re.findall(r'nonce="([^"]+)"', page.content.decode()) for page in (first, second)]
        assert len(set(nonces[0])) == len(set(nonces[1])) == 1
        assert set(nonces[0]) != set(nonces[1])
        assert nonces[0][0] in first["Content-Security-Policy"]
        assert hidden(first, "csrfmiddlewaretoken") != hidden(second, "csrfmiddlewaretoken")

    def test_is_not_found_once_it_is_off_the_shelf(self, stall: Stall) -> None:
        path = stall.path
        with in_substation(stall.shop):
            Listing.objects.update(on_shelf=False)

        assert stall.visitor().get(path).status_code == 404


class TestOrdering:
    def test_places_the_order_and_leads_to_its_page(self, stall: Stall, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(payments, "offered_channels", lambda **_: [])

        response = stall.visitor().post(stall.path, stall.order_form(quantity=2, expected_total_minor=2280))

        with in_substation(stall.shop):
            order = Order.objects.get()
        assert response.status_code == 302
        assert re.fullmatch(rf"/o/{order.number}/[0-9A-Z]{{32}}/", response["Location"])
        assert (order.total_minor, order.contact, order.source, order.language) == (
            2280,
            "ann@example.com",
            "WEB",
            "en",
        )
        assert order.state == "PENDING_PAYMENT"

    def test_works_without_javascript_from_the_page_to_the_order(
        self, stall: Stall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(payments, "offered_channels", lambda **_: [])
        visitor = Client(HTTP_HOST=f"{stall.shop.slug}.localhost", HTTP_ACCEPT_LANGUAGE="en", enforce_csrf_checks=True)
        page = visitor.get(stall.path)
        form = stall.order_form(quantity=3, csrfmiddlewaretoken=hidden(page, "csrfmiddlewaretoken"))

        # Another quantity, and "show the total": nothing is ordered, all that was typed stays.
        priced = visitor.post(stall.path, {**form, "deed": "price"})

        assert priced.status_code == 200
        assert hidden(priced, "expected_total_minor") == "3420"
        assert 'value="ann@example.com"' in priced.content.decode()
        with in_substation(stall.shop):
            assert not Order.objects.exists()

        bought = visitor.post(stall.path, {**form, "seen_quantity": 3, "expected_total_minor": 3420})

        assert bought.status_code == 302
        assert visitor.get(bought["Location"]).status_code == 200

    def test_asks_once_more_when_the_choice_was_changed_without_a_script(self, stall: Stall) -> None:
        response = stall.visitor().post(stall.path, stall.order_form(quantity=2))

        assert response.status_code == 409
        assert "Your choice comes to ¥22.80" in words(response)
        assert hidden(response, "expected_total_minor") == "2280"
        with in_substation(stall.shop):
            assert not Order.objects.exists()

    def test_leaves_a_made_password_with_the_buyer_and_keeps_one_of_their_own_to_themselves(
        self, stall: Stall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(payments, "offered_channels", lambda **_: [])
        visitor = stall.visitor()

        made = visitor.post(stall.path, stall.order_form())
        cookie = made.cookies["order_password"]
        shown = words(visitor.get(made["Location"]))

        assert cookie["httponly"] and cookie["path"] == "/".join(made["Location"].split("/")[:3]) + "/"
        assert cookie.value in shown
        own = stall.visitor().post(stall.path, stall.order_form(lookup_secret="my own words"))
        assert "order_password" not in own.cookies

    def test_takes_the_products_own_fields_by_their_keys(
        self, make_stall: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(payments, "offered_channels", lambda **_: [])
        stall = make_stall(buyer_fields=FIELDS)
        typed = {"f_contact": "Ann", "f_phone": "138 0000 1111", "f_area": "EU", "f_note": ""}

        response = stall.visitor().post(stall.path, stall.order_form(**typed))

        assert response.status_code == 302
        with in_substation(stall.shop):
            order = Order.objects.get()
        assert order.buyer_fields == {"contact": "Ann", "phone": "138 0000 1111", "area": "EU"}
        assert order.contact == "ann@example.com"


class TestRefusals:
    """Each says what is wrong beside all that was typed, and changes nothing."""

    def refused(self, stall: Stall, status: int, form: dict[str, Any]) -> Any:
        before = stall.counts()
        response = stall.visitor().post(stall.path, form)
        assert response.status_code == status
        assert stall.counts() == before
        assert "no-store" in response["Cache-Control"]
        return response

    @pytest.mark.parametrize("quantity", ["0", "-1", "1000000000", "101", "1.5", "x", "", " "])
    def test_of_a_quantity_that_is_none(self, stall: Stall, quantity: str) -> None:
        response = self.refused(stall, 422, stall.order_form(quantity=quantity))

        assert "The quantity must be a whole number from 1 to 100." in words(response)
        assert 'value="ann@example.com"' in response.content.decode()

    @pytest.mark.parametrize("contact", ["", "a@b", "abc", "12", "<b>x</b>@y", "x" * 300])
    def test_of_a_contact_that_reaches_nobody(self, stall: Stall, contact: str) -> None:
        self.refused(stall, 422, stall.order_form(contact=contact))

    @pytest.mark.parametrize(
        ("changes", "name"),
        [
            ({"contact": "nobody"}, "contact"),
            ({"quantity": "0"}, "quantity"),
            ({"quantity": "0", "contact": ""}, "quantity"),
        ],
    )
    def test_leads_back_to_the_first_field_that_is_wrong(
        self, stall: Stall, changes: dict[str, str], name: str
    ) -> None:
        page = self.refused(stall, 422, stall.order_form(**changes)).content.decode()

        focused = [tag for tag in re.findall(r"<input[^>]*>", page) if " autofocus" in tag]
        assert len(focused) == 1
        assert f'name="{name}"' in focused[0]

    def test_of_a_short_password(self, stall: Stall) -> None:
        response = self.refused(stall, 422, stall.order_form(lookup_secret="abc"))

        assert "6 to 64 characters" in words(response)

    def test_of_fields_of_the_product_each_beside_its_own(self, make_stall: Any) -> None:
        stall = make_stall(buyer_fields=FIELDS)

        response = self.refused(
            stall, 422, stall.order_form(f_contact='"><script>x</script>', f_phone="call me", f_area="Mars")
        )

        seen = words(response)
        assert "This phone number can't be used." in seen
        assert "Please choose one of the list." in seen
        assert b"<script>x</script>" not in response.content

    def test_of_a_sku_that_is_not_this_products(self, stall: Stall) -> None:
        with in_main():
            other = market.make_goods(codes=1)
        stall.sync()

        response = self.refused(stall, 409, stall.order_form(sku=other.sku_id))

        assert "not on sale here any more" in words(response)
        assert 'value="ann@example.com"' in response.content.decode()

    @pytest.mark.parametrize("sku", ["", "0", "-5", "x", "9223372036854775808", "1 OR 1=1"])
    def test_of_a_sku_that_is_none(self, stall: Stall, sku: str) -> None:
        self.refused(stall, 409, stall.order_form(sku=sku))

    def test_of_another_shops_sku(self, stall: Stall, make_stall: Any) -> None:
        other = make_stall()

        self.refused(stall, 409, stall.order_form(sku=other.goods.sku_id))

    def test_of_a_price_that_has_moved_with_the_new_total_to_confirm(self, stall: Stall) -> None:
        set_markup(stall, 30)

        response = self.refused(stall, 409, stall.order_form())

        assert "The price has changed to ¥12.35" in words(response)
        assert hidden(response, "expected_total_minor") == "1235"
        assert 'value="ann@example.com"' in response.content.decode()

    @pytest.mark.parametrize("expected", ["", "0", "x", "-1140"])
    def test_of_an_order_that_names_no_total(self, stall: Stall, expected: str) -> None:
        self.refused(stall, 409, stall.order_form(expected_total_minor=expected))

    def test_of_more_than_there_is_saying_which_and_what_is_left(self, stall: Stall) -> None:
        response = self.refused(stall, 409, stall.order_form(quantity=5, seen_quantity=5, expected_total_minor=5700))

        seen = words(response)
        assert "There are not that many" in seen
        assert "about 3 are left" in seen
        assert stall.goods.code.removeprefix("SKU-").lower() in seen

    def test_of_what_has_sold_out_since_the_page_was_made(self, stall: Stall) -> None:
        with in_substation(stall.shop):
            market.place(stall.goods, quantity=3, now=clock.utc_now())

        response = self.refused(stall, 409, stall.order_form())

        assert "has just sold out" in words(response)

    def test_of_what_was_taken_off_the_shelf_since_the_page_was_made(self, stall: Stall) -> None:
        path, form = stall.path, stall.order_form()
        with in_substation(stall.shop):
            Listing.objects.update(on_shelf=False)
        before = stall.counts()

        response = stall.visitor().post(path, form)

        assert response.status_code == 404
        assert stall.counts() == before

    def test_of_a_form_without_its_token(self, stall: Stall) -> None:
        visitor = Client(HTTP_HOST=f"{stall.shop.slug}.localhost", HTTP_ACCEPT_LANGUAGE="en", enforce_csrf_checks=True)
        before = stall.counts()

        response = visitor.post(stall.path, stall.order_form())

        assert response.status_code == 403
        assert "This form is too old" in words(response)
        assert stall.counts() == before

    def test_of_a_sold_out_product_by_a_button_that_cannot_be_pressed(self, stall: Stall) -> None:
        with in_substation(stall.shop):
            market.place(stall.goods, quantity=3, now=clock.utc_now())
        recount(stall)

        page = stall.visitor().get(stall.path).content.decode()

        assert re.search(r"<button[^>]*k-btn-lg[^>]*disabled[^>]*>", page)
