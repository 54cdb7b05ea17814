"""How an address with parameters is filled with what is Bob's. An address that is missing here fails the walk by name.

Twice for each: `full` is what Bob's own people and buyers hold, secrets and all, as it might be carried to another host;
`ids` is what anybody may know or guess, with the attacker's own secrets in the secrets' places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.isolation.walk.routes import Route
from tests.isolation.walk.scene import Scene, Side

Values = dict[str, Any]
Way = Callable[[Scene, bool], list[Values]]


class NoWay(AssertionError):
    """A new address: say in `ways` what its parameters are."""


def fill(route: Route, scene: Scene, *, full: bool) -> list[Values]:
    """The values to try at `route`, one dictionary a visit. Raises: NoWay, with the address's name."""
    if not route.parameters:
        return [{}]
    way = WAYS.get(route.label) or _by_name(route)
    if way is None:
        raise NoWay(f"{route.label} has parameters {route.parameters} that tests/isolation/walk/ways.py does not know.")
    found = way(scene, full)
    for values in found:
        assert set(values) == set(route.parameters), (
            f"{route.label} wants {route.parameters}, the way gives {set(values)}."
        )
    return found


def _by_name(route: Route) -> Way | None:
    """Names that mean one thing wherever they stand."""
    return {
        ("number",): _orders, ("number", "token"): _links, ("entry",): _entries,
    }.get(route.parameters)  # fmt: skip


def _orders(scene: Scene, full: bool) -> list[Values]:
    return [{"number": placed.number} for placed in scene.bob.orders.values()]


def _links(scene: Scene, full: bool) -> list[Values]:
    """A buyer's link. With ids alone: the attacker's own token, and the link that his own shop would mail."""
    if full:
        return [
            {"number": one.number, "token": token}
            for one in scene.bob.orders.values()
            for token in (one.token, scene.bob.mailed(one.number))
        ]
    own = scene.alice.orders["paid"]
    number = scene.bob.orders["paid"].number
    return [{"number": number, "token": token} for token in (own.token, scene.alice.mailed(number))]


def _entries(scene: Scene, full: bool) -> list[Values]:
    return [{"entry": (scene.bob if full else scene.alice).entry()}]


def _archives(scene: Scene, full: bool) -> list[Values]:
    return [{"token": (scene.bob if full else scene.alice).archive_link(for_owner=True)}]


def _files(scene: Scene, full: bool) -> list[Values]:
    schema, name = scene.bob.shop.schema_name, scene.bob.picture
    return [
        {"folder": "shop", "name": name}, {"folder": schema, "name": name}, {"folder": "library", "name": name},
        {"folder": "shop", "name": f"..%2f..%2f{schema}%2fshop%2f{name}"},
    ]  # fmt: skip


def _hooks(scene: Scene, full: bool) -> list[Values]:
    return [{"channel": "testpay", "account": scene.bob.account.public_id}]


def one(**values: Callable[[Scene], Any]) -> Way:
    """A way with one visit: each parameter by a function of the scene."""
    return lambda scene, full: [{name: value(scene) for name, value in values.items()}]


def bobs(**names: str) -> Way:
    """Each parameter by the name of Bob's attribute, a dotted path."""
    return one(**{parameter: lambda scene, path=path: _at(scene.bob, path) for parameter, path in names.items()})


def mains(**names: str) -> Way:
    """Each parameter by the name of a thing of the main station's own."""
    return one(**{parameter: lambda scene, key=key: scene.main[key] for parameter, key in names.items()})


def _at(side: Side, path: str) -> Any:
    value: Any = side
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


SUBSTATION, SIGNUP, CASE = (
    bobs(public_id="shop.public_id"),
    bobs(public_id="signup.signup.public_id"),
    bobs(public_id="case"),
)
TERM = bobs(public_id="shop.public_id", price="term")
INVOICE, QUOTE, CLAIM = bobs(number="invoice"), bobs(quote="quote"), bobs(pk="claim")
GRANT, LEAD = bobs(public_id="grant"), bobs(public_id="lead")
PENDING = one(code=lambda scene: f"substation:{scene.bob.shop.pk}:pending")
SKU = mains(code="sku")
COLLECTED_SKU = bobs(code="sold.manual.code")
CONSOLE = {
    "substations/<str:public_id>/": SUBSTATION,
    "substations/<str:public_id>/suspend/": SUBSTATION,
    "substations/<str:public_id>/resume/": SUBSTATION,
    "substations/<str:public_id>/support/": SUBSTATION,
    "substations/<str:public_id>/plan/": SUBSTATION,
    "substations/<str:public_id>/deposit/": SUBSTATION,
    "substations/<str:public_id>/terms/": SUBSTATION,
    "substations/<str:public_id>/terms/new/": SUBSTATION,
    "substations/<str:public_id>/terms/beside/": SUBSTATION,
    "substations/<str:public_id>/terms/skus/": SUBSTATION,
    "substations/<str:public_id>/terms/share-off/": SUBSTATION,
    "substations/<str:public_id>/terms/file/": SUBSTATION,
    "substations/<str:public_id>/terms/end/": SUBSTATION,
    "substations/<str:public_id>/terms/<str:price>/end/": TERM,
    "substations/<str:public_id>/close/": SUBSTATION,
    "substations/<str:public_id>/keep/": SUBSTATION,
    "substations/<str:public_id>/finish/": SUBSTATION,
    "substations/<str:public_id>/erase/": SUBSTATION,
    "substations/<str:public_id>/export/": SUBSTATION,
    "substations/<str:public_id>/export/<str:token>/": one(
        public_id=lambda scene: scene.bob.shop.public_id,
        token=lambda scene: scene.bob.archive_link(for_owner=False),
    ),
    "invoices/<str:number>/": INVOICE,
    "invoices/<str:number>/end/": INVOICE,
    "regions/at/<str:code>/": one(code=lambda scene: "440300"),
    "regions/at/<str:code>/grant/": one(code=lambda scene: "440300"),
    "regions/grants/<str:public_id>/end/": GRANT,
    "regions/leads/<str:public_id>/": LEAD,
    "regions/leads/<str:public_id>/done/": LEAD,
    "regions/leads/<str:public_id>/offer/": LEAD,
    "regions/leads/<str:public_id>/forget/": LEAD,
    "plans/<slug:code>/": one(code=lambda scene: scene.bob.shop.plan.code),
    "products/by-address/<slug:slug>/": mains(slug="product"),
    "products/by-address/<slug:slug>/picture/": mains(slug="product"),
    "products/by-address/<slug:slug>/new-sku/": mains(slug="product"),
    "skus/<str:code>/": SKU,
    "categories/by-address/<slug:slug>/": one(slug=lambda scene: "cards"),
    "brands/by-address/<slug:slug>/": mains(slug="brand"),
    "imports/<str:public_id>/": mains(public_id="run"),
    "imports/<str:public_id>/go/": mains(public_id="run"),
    "imports/<str:public_id>/discard/": mains(public_id="run"),
    "stock/count/<str:code>/": mains(code="counted"),
    "stock/batches/<str:public_id>/": mains(public_id="batch"),
    "stock/batches/<str:public_id>/withdraw/": mains(public_id="batch"),
    "stock/batches/<str:public_id>/codes/": mains(public_id="batch"),
    "stock/codes/<int:code_id>/": bobs(code_id="code_id"),
    "orders/<slug:shop>/<str:number>/": bobs(shop="shop.slug", number="orders.paid.number"),
    "ledger/accounts/<str:code>/": PENDING,
    "ledger/accounts/<str:code>/days/": PENDING,
    "ledger/transfers/<str:public_id>/": bobs(public_id="transfer"),
    "ledger/proof/<int:height>/": mains(height="height"),
    "cases/<str:public_id>/": CASE,
    "cases/<str:public_id>/settle/": CASE,
    "cases/<str:public_id>/note/": CASE,
    "inbox/<int:pk>/": bobs(pk="event"),
    "inbox/<int:pk>/replay/": bobs(pk="event"),
    "merchants/<str:public_id>/": bobs(public_id="account.public_id"),
    "merchants/<str:public_id>/switch/": bobs(public_id="account.public_id"),
    "split-rules/<int:version>/": one(version=lambda scene: 1),
    "jobs/<int:pk>/retry/": bobs(pk="job"),
    "people/<int:pk>/role/": mains(pk="user"),
    "people/<int:pk>/active/": mains(pk="user"),
    "people/<int:pk>/again/": mains(pk="user"),
    "people/<int:pk>/withdraw/": mains(pk="user"),
    "people/<int:pk>/second-step/": mains(pk="user"),
    "roles/<int:pk>/": mains(pk="role"),
    "roles/<int:pk>/remove/": mains(pk="role"),
    "tokens/<int:pk>/revoke/": mains(pk="token"),
}
STAFF = bobs(pk="users.STAFF.pk")
LISTING = bobs(pk="sold.manual.sku_id")
PANEL = {
    "steps/<slug:step>/": one(step=lambda scene: "price"),
    "listings/<int:pk>/shelf/": LISTING,
    "products/<int:pk>/": bobs(pk="sold.manual.product_id"),
    "customise/categories/<int:pk>/": one(pk=lambda scene: _category(scene)),
    "orders/lines/<int:pk>/deliver/": bobs(pk="lines.queued"),
    "staff/<int:pk>/role/": STAFF,
    "staff/<int:pk>/active/": STAFF,
    "staff/<int:pk>/resend/": STAFF,
    "staff/<int:pk>/withdraw/": STAFF,
    "staff/<int:pk>/second-step/": STAFF,
    "roles/<int:pk>/": bobs(pk="role_id"),
    "roles/<int:pk>/remove/": bobs(pk="role_id"),
    "tokens/<int:pk>/revoke/": bobs(pk="token_id"),
    "billing/change/<str:quote>/": QUOTE,
    "billing/change/<str:quote>/confirm/": QUOTE,
    "billing/invoices/<str:number>.pdf": INVOICE,
    "domains/<int:pk>/check/": CLAIM,
    "domains/<int:pk>/remove/": CLAIM,
    "archives/fetch/<str:token>/": _archives,
    "region/offers/<str:public_id>/take/": LEAD,
    "region/offers/<str:public_id>/decline/": LEAD,
}
SIGNUP_PAGES = (
    "", "verify/", "resend/", "retry/", "enter/", "pay/", "pay/plan/", "pay/go/", "pay/back/", "pay/check/",
)  # fmt: skip
MAIN_API = {
    "signups/<str:public_id>/": SIGNUP,
    "signups/<str:public_id>/verify/": SIGNUP,
    "signups/<str:public_id>/resend/": SIGNUP,
    "signups/<str:public_id>/retry/": SIGNUP,
    "signups/<str:public_id>/pay/": SIGNUP,
    "billing/invoices/<str:number>/": INVOICE,
    "substations/<str:public_id>/subscription/": SUBSTATION,
    "substations/<str:public_id>/terms/": SUBSTATION,
    "substations/<str:public_id>/terms/<str:price>/": TERM,
    "substations/<str:public_id>/terms/<str:price>/end/": TERM,
    "library/categories/<str:slug>/": one(slug=lambda scene: "cards"),
    "library/brands/<str:slug>/": mains(slug="brand"),
    "library/products/<str:slug>/": mains(slug="product"),
    "library/skus/<str:code>/": SKU,
    "substations/<str:public_id>/": SUBSTATION,
    "regions/grants/<str:public_id>/end/": GRANT,
    "sync/<str:public_id>/repeat/": bobs(public_id="shop.slug"),
}
SHOP_API = {
    "listings/<str:code>/": COLLECTED_SKU,
    "listings/<str:code>/price/": COLLECTED_SKU,
    "panel/listings/<str:code>/": COLLECTED_SKU,
}
STOREFRONT = {
    "c/<slug:slug>/": one(slug=lambda scene: "cards"),
    "p/<slug:slug>/": one(slug=lambda scene: scene.bob.sold["manual"].code.lower().replace("sku", "card")),
}
BOTH_HOSTS = {
    "files/<slug:folder>/<str:name>": _files,
    "hooks/<slug:channel>/<slug:account>/": _hooks,
    "security/passkeys/<int:pk>/remove/": bobs(pk="passkey_id"),
    "security/sessions/<int:pk>/end/": bobs(pk="session_id"),
}


def _category(scene: Scene) -> int:
    from kameng.db.context import in_substation
    from tenant_apps.listings.models import ListedCategory

    with in_substation(scene.bob.shop):
        return int(ListedCategory.objects.get(slug="cards").pk)


def _labelled() -> Iterator[tuple[str, Way]]:
    for text, way in CONSOLE.items():
        yield f"main:console/{text}", way
    for text, way in PANEL.items():
        yield f"shop:panel/{text}", way
    for text, way in MAIN_API.items():
        yield f"main:api/v1/{text}", way
    for text, way in SHOP_API.items():
        yield f"shop:api/v1/{text}", way
    for text, way in STOREFRONT.items():
        yield f"shop:{text}", way
    for text, way in BOTH_HOSTS.items():
        yield f"main:{text}", way
        yield f"shop:{text}", way
    for text in SIGNUP_PAGES:
        yield f"main:signup/<str:public_id>/{text}", SIGNUP
    yield "main:ui/gallery/<slug:frame>/", one(frame=lambda scene: "storefront")


WAYS: dict[str, Way] = dict(_labelled())
