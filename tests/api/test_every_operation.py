"""Every operation of both contracts works for whom it is for, and every endpoint of both hosts is in its contract.

Found by reflection: an endpoint that is new and not here, or not described, fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.api.conformance import METHODS, contracts
from tests.api.conftest import Answer, Api, Bought, an_invoice, an_order, begin_payment, pay, some_goods
from tests.api.test_main_station import a_sku, product_slug
from tests.api.test_regions import a_grant, free_city
from tests.api.test_signup import an_application, begun, mailed_code
from tests.shared_apps.billing.stage import make_plan
from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel

SHARED = {"", "schema/", "docs/"}  # Where the API begins, its contract and the page of it: the same on each host.
READS = ("_list", "_read", "_price", "_preview")
UNKEYED = {
    "signups_verify": "repeating it after success changes nothing",
    "signups_pay": "the page that is open for the same sum is answered again",
    "signups_retry": "only a failed making can be tried again, once",
    "orders_codes": "each look is recorded, and no table may hold the codes once more",
}


@dataclass
class Scene:
    """Everything that an operation may want, made when it is asked for."""

    request: pytest.FixtureRequest

    def __getattr__(self, name: str) -> Any:
        return self.request.getfixturevalue(name)

    def paid(self, **wishes: Any) -> Bought:
        bought: Bought = self.buy(**wishes)
        begin_payment(bought, self.account)
        assert pay(self.shop, self.account, bought) == "SALE"
        return bought

    def goods(self) -> market.Goods:
        from kameng.db.context import in_main

        with in_main():
            return some_goods(codes=2, supply=None)

    @property
    def terms(self) -> str:
        return f"substations/{self.shop.public_id}/terms/"

    def term(self) -> str:
        """The id of a private price of the shop."""
        return str(self.operator.post(self.terms, {"sku": self.goods().code, "unit": "9.05"}).body["id"])

    def brand(self) -> str:
        from kameng.db.context import in_main
        from shared_apps.library.models import Brand

        slug = market.public_id("brand").lower().replace("_", "-")
        with in_main():
            Brand.objects.create(slug=slug, name_zh="牌", name_en="Brand")
        return slug

    def failed_signup(self) -> tuple[str, Api]:
        from kameng.db.context import in_main
        from tenants.models import Signup
        from tenants.states import SignupState

        answer, program = begun(self.main)
        program.post(f"signups/{answer.body['id']}/verify/", {"code": mailed_code()})
        with in_main():
            Signup.objects.filter(public_id=answer.body["id"]).update(state=SignupState.FAILED)
        return answer.body["id"], program


def _signups(scene: Scene, method: str, deed: str, body: Callable[[], Any] = lambda: None) -> Any:
    answer, program = begun(scene.main)
    return program.call(method, f"signups/{answer.body['id']}/{deed}", body())


def _pay(scene: Scene) -> Any:
    assert scene.account and scene.channel
    answer, program = begun(scene.main, plan=make_plan(monthly_fee_minor=9_800).code)
    program.post(f"signups/{answer.body['id']}/verify/", {"code": mailed_code()})
    return program.post(f"signups/{answer.body['id']}/pay/", {"return_url": "https://robot.example/done"})


def _retry(scene: Scene) -> Any:
    public_id, program = scene.failed_signup()
    return program.post(f"signups/{public_id}/retry/")


def _deliver(scene: Scene) -> Any:
    bought = scene.paid(delivery="MANUAL")
    line = scene.owner.get(f"panel/orders/{bought.number}/").body["lines"][0]
    body = {"line_id": line["id"], "note": "Account: ann"}
    return scene.owner.post(f"panel/orders/{bought.number}/deliver/", body)


def _new_product() -> dict[str, Any]:
    slug = market.public_id("x").lower().replace("_", "-")
    return {"slug": slug, "category": "cards", "kind": "CARD_CODE", "delivery": "CODES", "name_zh": "新卡"}


def _rule(scene: Scene) -> dict[str, Any]:
    return {"scope": "SKU", "target_id": scene.sell(codes=1).sku_id, "kind": "PRICE", "value": "14.25"}


def _take_rule_away(scene: Scene) -> Any:
    rule = _rule(scene)
    scene.owner.call("PUT", "panel/prices/rules/", rule)
    return scene.owner.call("DELETE", f"panel/prices/rules/?scope=SKU&target_id={rule['target_id']}")


def _grant(scene: Scene) -> Any:
    return scene.operator.post("regions/grants/", a_grant(free_city(), scene.shop.public_id))


MAIN: dict[str, Callable[[Scene], Any]] = {
    "plans_list": lambda s: s.main.get("plans/"),
    "signups_challenge": lambda s: s.main.get("signups/challenge/"),
    "signups_create": lambda s: s.main.post("signups/", an_application(s.main)),
    "signups_read": lambda s: _signups(s, "GET", ""),
    "signups_verify": lambda s: _signups(s, "POST", "verify/", lambda: {"code": mailed_code()}),
    "signups_resend": lambda s: _signups(s, "POST", "resend/"),
    "signups_retry": _retry,
    "signups_pay": _pay,
    "library_categories_list": lambda s: (s.goods(), s.operator.get("library/categories/"))[1],
    "library_categories_read": lambda s: (s.goods(), s.operator.get("library/categories/cards/"))[1],
    "library_brands_list": lambda s: (s.brand(), s.operator.get("library/brands/"))[1],
    "library_brands_read": lambda s: s.operator.get(f"library/brands/{s.brand()}/"),
    "library_products_list": lambda s: (s.goods(), s.operator.get("library/products/"))[1],
    "library_products_create": lambda s: (s.goods(), s.operator.post("library/products/", _new_product()))[1],
    "library_products_read": lambda s: s.operator.get(f"library/products/{product_slug(s.goods())}/"),
    "library_products_update": lambda s: s.operator.call(
        "PATCH", f"library/products/{product_slug(s.goods())}/", {"name_en": "Card", "brand": s.brand()}
    ),
    "library_skus_list": lambda s: (s.goods(), s.operator.get("library/skus/"))[1],
    "library_skus_create": lambda s: s.operator.post("library/skus/", a_sku(product_slug(s.goods()))),
    "library_skus_read": lambda s: s.operator.get(f"library/skus/{s.goods().code}/"),
    "library_skus_update": lambda s: s.operator.call("PATCH", f"library/skus/{s.goods().code}/", {"suggested": "13"}),
    "stock_levels_list": lambda s: (s.goods(), s.operator.get("stock/levels/"))[1],
    "stock_batches_create": lambda s: s.operator.post("stock/batches/", {"sku": s.goods().code, "codes": ["A-1"]}),
    "stock_batches_list": lambda s: (MAIN["stock_batches_create"](s), s.operator.get("stock/batches/"))[1],
    "substations_list": lambda s: (s.shop, s.operator.get("substations/"))[1],
    "substations_read": lambda s: s.operator.get(f"substations/{s.shop.public_id}/"),
    "subscriptions_read": lambda s: s.operator.get(f"substations/{s.shop.public_id}/subscription/"),
    "terms_list": lambda s: (s.term(), s.operator.get(s.terms))[1],
    "terms_set": lambda s: s.operator.post(s.terms, {"sku": s.goods().code, "unit": "9.05"}),
    "terms_read": lambda s: s.operator.get(f"{s.terms}{s.term()}/"),
    "terms_end": lambda s: s.operator.post(f"{s.terms}{s.term()}/end/", {}),
    "invoices_list": lambda s: (an_invoice(s.shop), s.operator.get("billing/invoices/"))[1],
    "invoices_read": lambda s: s.operator.get(f"billing/invoices/{an_invoice(s.shop)}/"),
    "sync_list": lambda s: (s.shop, s.operator.get("sync/"))[1],
    "sync_repeat": lambda s: s.operator.post(f"sync/{s.shop.slug}/repeat/", {"full": True}),
    "regions_list": lambda s: s.operator.get("regions/?parent=440000&held=false"),
    "region_grants_list": lambda s: (_grant(s), s.operator.get("regions/grants/?when=now"))[1],
    "region_grants_create": lambda s: _grant(s),
    "region_grants_end": lambda s: s.operator.post(f"regions/grants/{_grant(s).body['id']}/end/"),
    "leads_list": lambda s: (s.shop, s.operator.get("regions/leads/"))[1],
    "cases_list": lambda s: (_double_payment(s), s.operator.get("cases/"))[1],
}
SHOP: dict[str, Callable[[Scene], Any]] = {
    "listings_list": lambda s: (s.sell(codes=1), s.visitor.get("listings/"))[1],
    "listings_read": lambda s: s.visitor.get(f"listings/{s.sell(codes=1).code}/"),
    "listings_price": lambda s: s.visitor.get(f"listings/{s.sell(codes=1).code}/price/?quantity=2"),
    "channels_list": lambda s: (s.account, s.visitor.get("channels/"))[1],
    "orders_create": lambda s: s.visitor.post("orders/", an_order(s.sell(codes=1))),
    "orders_read": lambda s: (lambda bought: bought.buyer.get(f"orders/{bought.number}/"))(s.paid(codes=1)),
    "orders_payments_create": lambda s: begin_payment(s.buy(codes=1), s.account),
    "orders_codes": lambda s: (lambda bought: bought.buyer.post(f"orders/{bought.number}/codes/"))(s.paid(codes=1)),
    "panel_listings_list": lambda s: (s.sell(codes=1), s.owner.get("panel/listings/"))[1],
    "panel_listings_read": lambda s: s.owner.get(f"panel/listings/{s.sell(codes=1).code}/"),
    "panel_listings_update": lambda s: s.owner.call(
        "PATCH", f"panel/listings/{s.sell(codes=1).code}/", {"on_shelf": False}
    ),
    "panel_prices_preview": lambda s: s.owner.get(
        f"panel/prices/preview/?scope=SKU&target_id={s.sell(codes=1).sku_id}&kind=PERCENT&value=12&rounding=NONE"
    ),
    "panel_prices_rules_list": lambda s: (SHOP["panel_prices_rules_set"](s), s.owner.get("panel/prices/rules/"))[1],
    "panel_prices_rules_set": lambda s: s.owner.call("PUT", "panel/prices/rules/", _rule(s)),
    "panel_prices_rules_delete": _take_rule_away,
    "panel_orders_list": lambda s: (s.paid(codes=1), s.owner.get("panel/orders/"))[1],
    "panel_orders_read": lambda s: s.owner.get(f"panel/orders/{s.paid(codes=1).number}/"),
    "panel_orders_deliver": _deliver,
    "panel_statement_read": lambda s: (_statement(s), s.owner.get("panel/statement/"))[1],
}
GOOD = {"main": MAIN, "shop": SHOP}


def _double_payment(scene: Scene) -> None:
    """Paid once more: money that needs a person."""
    bought = scene.paid(codes=1)
    assert pay(scene.shop, scene.account, bought) == "CASE"


def _statement(scene: Scene) -> None:
    from tenant_apps.finance import sync

    scene.paid(codes=1)
    sync.sync_statement(scene.shop)


def operation_ids(name: str) -> set[str]:
    paths = contracts()[name].document()["paths"].values()
    return {operation["operationId"] for methods in paths for operation in methods.values()}


def endpoints(name: str) -> Iterator[tuple[str, str]]:
    """Address and method of every view that stands below /api/v1/ of a host, described or not."""
    from django.urls import URLPattern

    from kameng import api_main, api_tenant
    from kameng.web.endpoint import NothingHere

    for pattern in {"main": api_main, "shop": api_tenant}[name].urlpatterns:
        assert isinstance(pattern, URLPattern), "Addresses of the API are not nested; this test would not see them."
        view: Any = getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
        if view is not NothingHere:
            for method in METHODS:
                if hasattr(view, method):
                    yield pattern.pattern._route, method


class TestTheContract:
    @pytest.mark.parametrize("name", ["main", "shop"])
    def test_has_every_endpoint_of_its_host(self, name: str) -> None:
        paths = contracts()[name].document()["paths"]
        written = {(address, method) for address, methods in paths.items() for method in methods}

        served = {
            (f"/api/v1/{route.replace('<str:', '{').replace('>', '}')}", method)
            for route, method in endpoints(name)
            if route not in SHARED
        }

        assert served == written

    @pytest.mark.parametrize("name", ["main", "shop"])
    def test_is_tried_whole(self, name: str) -> None:
        assert set(GOOD[name]) == operation_ids(name)

    @pytest.mark.parametrize("name", ["main", "shop"])
    def test_has_a_key_on_every_post_that_may_be_sent_again(self, name: str) -> None:
        for methods in contracts()[name].document()["paths"].values():
            operation = methods.get("post")
            if operation and operation["operationId"] not in UNKEYED:
                assert "Idempotency-Key" in [one["name"] for one in operation["parameters"]], operation["operationId"]


def _works(operation: str, answer: Answer) -> None:
    """It succeeds; a read can be polled, and its answer is for its reader alone."""
    assert 200 <= answer.status < 300, answer.body
    assert answer.headers["Vary"].startswith("Accept-Language, Authorization")
    if operation.endswith(READS):
        same = answer.again(If_None_Match=answer.headers["ETag"])
        assert (same.status, same.body, same.headers["ETag"]) == (304, None, answer.headers["ETag"])
        assert answer.again(If_None_Match='"another"').status == 200
        assert answer.headers["Cache-Control"] == "private, no-cache"
    else:
        assert answer.headers["Cache-Control"] == "no-store"


class TestEveryOperation:
    @pytest.mark.parametrize("operation", sorted(MAIN))
    def test_of_the_main_station_works(
        self, request: pytest.FixtureRequest, channel: MemoryChannel, outbox: None, operation: str
    ) -> None:
        _works(operation, MAIN[operation](Scene(request)))

    @pytest.mark.parametrize("operation", sorted(SHOP))
    def test_of_a_shop_works(
        self, request: pytest.FixtureRequest, channel: MemoryChannel, outbox: None, operation: str
    ) -> None:
        _works(operation, SHOP[operation](Scene(request)))
