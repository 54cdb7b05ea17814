"""A shop that does not sell: its words instead of its goods, and its buyers' orders all the same."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache

from kameng.db.context import in_main, in_substation, pointed_at
from kameng.lib import clock
from tenant_apps.shop import services as shop_services
from tenants import hosts
from tests.tenant_apps import market
from tests.tenant_apps.storefront.conftest import Stall, words


def set_state(stall: Stall, state: str) -> None:
    from tenants.models import Substation

    with in_main():
        Substation.objects.filter(pk=stall.shop.pk).update(state=state)
        hosts.forget(stall.shop)


def close(stall: Stall) -> None:
    with in_substation(stall.shop):
        shop_services.update_settings(by=market.CLERK, now=clock.utc_now(), open=False)


@pytest.fixture(params=["SUSPENDED", "CLOSED", "break"])
def closed(request: pytest.FixtureRequest, stall: Stall) -> Stall:
    with in_substation(stall.shop):
        shop_services.update_settings(by=market.CLERK, now=clock.utc_now(), contact_qq="10001", name="Ann's <cards>")
    if request.param == "break":
        close(stall)
    else:
        set_state(stall, request.param)
    return stall


class TestClosedShop:
    @pytest.mark.parametrize("path", ["/", "/c/cards/", "/search/?q=card", "/sitemap.xml"])
    def test_answers_503_with_the_shops_own_words(self, closed: Stall, path: str) -> None:
        response = closed.visitor().get(path)

        assert response.status_code == 503
        assert response["Retry-After"] == "3600"
        seen = words(response)
        assert "Ann's <cards>" in seen
        assert "10001" in seen
        assert "¥" not in seen

    def test_takes_no_order(self, closed: Stall) -> None:
        before = closed.counts()

        response = closed.visitor().post(closed.path, closed.order_form())

        assert response.status_code == 503
        assert closed.counts() == before

    def test_tells_a_program_in_its_own_way(self, closed: Stall) -> None:
        response = closed.visitor().get("/", headers={"Accept": "application/json"})

        assert response.status_code == 503
        assert response.json()["error"]["code"] == "shop_away"

    def test_still_shows_its_buyers_what_they_bought(self, stall: Stall) -> None:
        placed = stall.place()
        stall.pay(placed)
        set_state(stall, "SUSPENDED")

        response = stall.visitor().post(f"/o/{placed.number}/{placed.token}/codes/")

        assert stall.goods.texts[0] in words(response)
        assert stall.visitor().get("/find/").status_code == 200

    def test_opens_again_at_once(self, stall: Stall) -> None:
        close(stall)
        assert stall.visitor().get("/").status_code == 503

        with in_substation(stall.shop):
            shop_services.update_settings(by=market.CLERK, now=clock.utc_now(), open=True)

        assert stall.visitor().get("/").status_code == 200

    def test_that_closes_while_somebody_orders_takes_nothing(self, stall: Stall, monkeypatch: Any) -> None:
        stall.visitor().get("/")  # The cache says: open.
        with pointed_at(stall.shop):
            kept = cache.get("shop:settings")
        close(stall)
        with pointed_at(stall.shop):
            cache.set("shop:settings", kept)  # Another worker read just before.
        before = stall.counts()

        response = stall.visitor().post(stall.path, stall.order_form())

        assert response.status_code == 503
        assert stall.counts() == before
