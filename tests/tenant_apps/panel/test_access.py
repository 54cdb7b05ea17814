"""Who may open which screen, and who may change what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kameng.db.context import in_substation
from tests.tenant_apps.panel.office import Office

EVERYBODYS = (
    "", "search/?q=x", "listings/", "listings/?sort=-margin&state=floor", "pricing/", "pricing/rule/?scope=SHOP&target=0",
    "pricing/rule/preview/?scope=SHOP&target=0&kind=PERCENT&value=12", "customise/", "orders/", "orders/queue/",
    "settings/", "settings/accent/?accent_choice=%23b45309", "activity/", "account/",
)  # fmt: skip
OWNERS = ("statement/", "staff/", "tokens/", "roles/", "roles/new/")
DEEDS = (
    ("steps/share/", {}),
    ("listings/bulk/", {"ids": "{sku}", "deed": "off"}),
    ("listings/{sku}/shelf/", {}),
    ("products/{product}/", {"own_name": "Mine"}),
    ("pricing/rule/", {"scope": "SKU", "target": "{sku}", "kind": "PERCENT", "value": "50"}),
    ("pricing/rule/remove/", {"scope": "SHOP", "target": "0"}),
    ("pricing/many/", {"ids": "{sku}", "kind": "PERCENT", "value": "50", "deed": "save"}),
    ("customise/categories/{category}/", {}),
    ("orders/{order}/cancel/", {}),
    ("orders/{order}/codes/", {"reveal-reason": "I want to know"}),
    ("orders/{order}/buyer/", {"link-reason": "I want to know"}),
    ("settings/", {"name": "Mine"}),
)
OWNERS_DEEDS = (
    ("staff/", {"email": "new@example.com", "role": "OWNER"}),
    ("staff/{staff}/role/", {"role": "OWNER"}),
    ("staff/{staff}/active/", {"active": "0"}),
    ("staff/{staff}/resend/", {}),
    ("tokens/", {"name": "Mine", "scopes": ["orders:read"]}),
    ("tokens/1/revoke/", {}),
    ("staff/{staff}/withdraw/", {}),
    ("staff/{staff}/second-step/", {}),
    ("staff/second-step/", {"for_all": "1"}),
    ("roles/new/", {"name": "Mine", "permissions": "goods.look"}),
    ("roles/1/", {"name": "Mine", "permissions": "goods.look"}),
    ("roles/1/remove/", {}),
)


def filled(office: Office, path: str, data: dict[str, Any], number: str) -> tuple[str, dict[str, Any]]:
    values = {
        "sku": office.goods.sku_id, "product": office.goods.product_id, "category": office.category_id, "order": number,
        "staff": office.users["STAFF"],
    }  # fmt: skip
    given = {key: value.format(**values) if isinstance(value, str) else value for key, value in data.items()}
    return "/panel/" + path.format(**values), given


class TestLooking:
    def test_the_owner_sees_every_screen(self, office: Office) -> None:
        placed = office.place()
        browser = office.owner

        for path in (*EVERYBODYS, *OWNERS, f"orders/{placed.number}/", f"products/{office.goods.product_id}/"):
            assert browser.get(f"/panel/{path}").status_code == 200, path

    @pytest.mark.parametrize("role", ["STAFF", "VIEWER"])
    def test_staff_and_viewers_see_all_but_money_staff_and_tokens(self, office: Office, role: str) -> None:
        browser = office.browser(role)

        assert {browser.get(f"/panel/{path}").status_code for path in EVERYBODYS} == {200}
        assert [browser.get(f"/panel/{path}").status_code for path in OWNERS] == [403] * len(OWNERS)

    def test_a_stranger_is_sent_to_the_log_in_and_back(self, office: Office) -> None:
        response = office.browser().get("/panel/orders/?state=PAID")

        assert response.status_code == 302
        assert response["Location"] == "/login/?next=%2Fpanel%2Forders%2F%3Fstate%3DPAID"

    def test_a_part_of_a_page_sends_the_whole_browser_to_the_log_in(self, office: Office) -> None:
        response = office.browser(HTTP_HX_REQUEST="true").get("/panel/listings/")

        assert (response.status_code, response["HX-Redirect"]) == (401, "/login/")

    def test_what_the_shop_earns_is_the_owners_to_know(self, office: Office) -> None:
        placed = office.place()
        assert office.pay(placed) == "SALE"

        assert b"Earned today" in office.owner.get("/panel/").content
        for browser in (office.staff, office.viewer):
            assert b"Earned today" not in browser.get("/panel/").content
            assert b"Where the money goes" not in browser.get(f"/panel/orders/{placed.number}/").content
            assert b"You earn" not in browser.get("/panel/orders/").content

    def test_the_log_in_of_one_shop_opens_no_other(self, office: Office, make_office: Callable[..., Office]) -> None:
        other = make_office(codes=0)
        browser = office.owner

        response = browser.get("/panel/", HTTP_HOST=f"{other.shop.slug}.localhost")

        assert response.status_code == 302


class TestChanging:
    def test_a_viewer_changes_nothing(self, office: Office) -> None:
        placed = office.place()
        before, browser = office.counts(), office.viewer

        for path, data in (*DEEDS, *OWNERS_DEEDS):
            address, given = filled(office, path, data, placed.number)
            assert browser.post(address, given).status_code == 403, path

        assert office.counts() == before

    def test_staff_touch_neither_people_nor_tokens(self, office: Office) -> None:
        before, browser = office.counts(), office.staff

        for path, data in OWNERS_DEEDS:
            address, given = filled(office, path, data, "K1")
            assert browser.post(address, given).status_code == 403, path

        assert office.counts() == before

    def test_a_stranger_changes_nothing(self, office: Office) -> None:
        placed = office.place()
        before, browser = office.counts(), office.browser()

        for path, data in (*DEEDS, *OWNERS_DEEDS):
            address, given = filled(office, path, data, placed.number)
            assert browser.post(address, given).status_code == 302, path

        assert office.counts() == before


class TestAnotherShop:
    def test_its_orders_goods_and_people_are_not_here(self, office: Office, make_office: Callable[..., Office]) -> None:
        other = make_office(codes=1)
        theirs = other.place()
        with in_substation(other.shop):
            from kameng.accounts.models import User

            for number in range(4):  # So that their numbers are beyond ours.
                stranger = User.objects.create_user(f"s{number}@example.com", None)
        before, there, browser = office.counts(), other.counts(), office.owner

        for path in (f"orders/{theirs.number}/", "products/987654321/", "pricing/rule/?scope=SKU&target=987654321"):
            assert browser.get(f"/panel/{path}").status_code == 404, path
        for path, data in (
            (f"orders/{theirs.number}/cancel/", {}),
            (f"orders/{theirs.number}/codes/", {"reveal-reason": "curious"}),
            (f"orders/{theirs.number}/buyer/", {"link-reason": "curious"}),
            ("orders/lines/987654321/deliver/", {"note": "here"}),
            ("listings/987654321/shelf/", {}),
            ("listings/bulk/", {"ids": ["987654321"], "deed": "off"}),
            ("customise/categories/987654321/", {}),
            (f"staff/{stranger.pk}/active/", {"active": "0"}),
            ("tokens/987654321/revoke/", {}),
        ):
            assert browser.post(f"/panel/{path}", data).status_code == 404, path

        assert office.counts() == before
        assert other.counts() == there
