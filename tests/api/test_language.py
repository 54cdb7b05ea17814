"""A refusal speaks the reader's language, and changes nothing in either."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kameng.db.context import in_main, in_substation
from shared_apps.library.models import Sku
from tenant_apps.listings.models import Listing
from tenant_apps.orders.models import Order
from tenants.models import Signup
from tests.api.conftest import Api, Sell, an_order
from tests.api.test_signup import an_application
from tests.tenant_apps import market

HAN = re.compile(r"[\u4e00-\u9fff]")
LATIN_WORDS = re.compile(r"[A-Za-z]{4,}")


def told(api: Api, path: str, data: Any) -> tuple[str, str, str]:
    """The code of the refusal, and its words in English and in Chinese."""
    answers = [
        api.post(path, data() if callable(data) else data, Accept_Language=language) for language in ("en", "zh-CN")
    ]
    assert answers[0].error["code"] == answers[1].error["code"]
    return answers[0].error["code"], answers[0].error["message"], answers[1].error["message"]


def speaks_both(english: str, chinese: str) -> None:
    assert HAN.search(chinese), chinese
    assert not LATIN_WORDS.search(re.sub(r"“.*?”|SKU-\w+", "", chinese)), chinese
    assert not HAN.search(re.sub(r"“.*?”", "", english)), english


class TestCheckout:
    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"lines": [{"sku_id": 2**62, "quantity": 1}]}, "sku_not_found"),
            ({"quantity": 0}, None),
            ({"quantity": -1}, None),
            ({"quantity": 10**9}, None),
            ({"quantity": 50}, "sold_out"),
            ({"expected_total_minor": 1}, "price_moved"),
            ({"contact": "nobody"}, "order_invalid"),
            ({"lookup_secret": "short"}, None),
        ],
    )
    def test_refuses_in_both(
        self, shop: Any, visitor: Api, sell: Sell, changes: dict[str, Any], code: str | None
    ) -> None:
        goods = sell(codes=1)
        quantity = changes.get("quantity", 1)
        changes = {name: value for name, value in changes.items() if name != "quantity"}
        with in_substation(shop):
            before = Order.objects.count()

        found, english, chinese = told(visitor, "orders/", an_order(goods, quantity, **changes))

        assert code in (None, found)
        speaks_both(english, chinese)
        with in_substation(shop):
            assert Order.objects.count() == before
        assert market.rows("SELECT state FROM stock_code WHERE sku_id = %s", goods.sku_id) == [("AVAILABLE",)]

    @pytest.mark.parametrize("by", ["shop", "library"])
    def test_refuses_what_was_taken_off_the_shelf(self, shop: Any, visitor: Api, sell: Sell, by: str) -> None:
        goods = sell(codes=1)
        if by == "shop":
            with in_substation(shop):
                Listing.objects.filter(pk=goods.sku_id).update(on_shelf=False)
        else:
            with in_main():  # The sync has not come yet.
                Sku.objects.filter(pk=goods.sku_id).update(active=False)

        found, english, chinese = told(visitor, "orders/", an_order(goods))

        assert found == "off_shelf"
        speaks_both(english, chinese)


class TestSignup:
    @pytest.mark.parametrize(
        "slug", ["www", "ab", "a" * 31, "раypal", "xn--80ak6aa92e", "a.b/../c", "'; drop schema public"]
    )
    def test_refuses_an_address_in_both(self, main: Api, slug: str) -> None:
        with in_main():
            before = Signup.objects.count()

        _code, english, chinese = told(main, "signups/", lambda: an_application(main, slug=slug))

        assert HAN.search(chinese), chinese
        assert not HAN.search(english), english
        with in_main():
            assert Signup.objects.count() == before
