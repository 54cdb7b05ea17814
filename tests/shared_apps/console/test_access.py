"""Who gets which page of the console, and on which host there is one at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver, reverse

from kameng.accounts.models import AuditRecord
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.lib import clock
from shared_apps.billing.states import InvoiceKind
from shared_apps.ledger.tasks import seal_all
from shared_apps.stock.models import CodeReveal
from tests.horizon import wait_until_concluded
from tests.shared_apps.console.conftest import Scene
from tests.tenant_apps import market

URLS = "kameng.urls_main"
LISTS = (
    "overview", "search", "substations", "plans", "products", "categories", "brands", "imports", "levels", "batches",
    "code_import", "reveals", "orders", "accounts", "transfers", "trial_balance", "chain", "cases", "inbox", "sync",
    "audit", "jobs", "tokens", "people", "merchants", "rules", "keys", "roles", "account",
    "invoices", "unpaid", "regions", "regions_elsewhere", "region_grants", "leads",
)  # fmt: skip
EXPORTS = (
    "substations", "plans", "products", "categories", "brands", "levels", "batches", "reveals", "orders", "accounts",
    "transfers", "trial_balance", "cases", "inbox", "merchants", "rules", "sync", "people", "audit", "jobs", "tokens",
    "invoices", "unpaid", "region_grants", "leads",
)  # fmt: skip


def url(name: str, *args: Any) -> str:
    return reverse(f"console:{name}", args=args, urlconf=URLS)


def details(scene: Scene) -> dict[str, str]:
    """Pages of one thing each."""
    sku = scene.goods.code
    [(slug,)] = market.rows("SELECT slug FROM library_product WHERE id = %s", scene.goods.product_id)
    return {
        "substation": url("substation", scene.shop.public_id), "plan": url("plan", "basic"),
        "product": url("product", slug), "sku": url("sku", sku), "category": url("category", "cards"),
        "import_run": url("import_run", scene.run), "batch": url("batch", scene.batch),
        "order": url("order", scene.shop.slug, scene.order), "account": url("account", "main:revenue"),
        "transfer": url("transfer", scene.transfer), "case": url("case", scene.case),
        "event": url("event", scene.event), "account_days": url("account_days", "main:revenue"),
        "merchant": url("merchant", scene.account.public_id), "rule": url("rule", 1), "block": url("block", sealed()),
        "region": url("region", "440300"), "lead": url("lead", held(scene)[1]),
        "invoice": url("invoice", billed(scene)), "terms": url("terms", scene.shop.public_id),
        "terms_beside": url("terms_beside", scene.shop.public_id), "terms_skus": url("terms_skus", scene.shop.public_id),
    }  # fmt: skip


def billed(scene: Scene) -> str:
    """The number of an invoice of the scene's shop, open; one is issued where there is none."""
    from shared_apps.billing import services as billing
    from shared_apps.billing.types import Line

    with in_main():
        found = scene.shop.invoices.filter(state="OPEN").first()
        if found is None:
            line = Line("period", "一个月", "A month", 9900)
            found = billing.issue(substation=scene.shop, kind=InvoiceKind.PERIOD, lines=[line], at=market.NOW)
    return str(found.number)


def held(scene: Scene) -> tuple[str, str]:
    """The ids of a grant of the scene's shop and of somebody who was offered to it; made where there is none."""
    from shared_apps.regions import selectors as regions
    from shared_apps.regions import services
    from shared_apps.regions.models import Region

    now = clock.utc_now()
    with in_main():
        grant = regions.grants(substation_id=scene.shop.pk, when="now", at=now).first()
        if grant is None:
            free = Region.objects.filter(level="CITY").exclude(regions.holding(now)).order_by("-code").first()
            assert free is not None
            grant = services.make_grant(
                region_code=free.code, substation_id=scene.shop.pk, starts_at=now, ends_at=now + timedelta(days=30),
                by=SYSTEM, now=now,
            )  # fmt: skip
            services.ask(
                name="Lin", phone="13800000000", email="", message="", region=free.code, language="en", now=now
            )
        return grant.public_id, regions.leads(region=grant.region.code)[0].public_id


def sealed() -> int:
    """The height of a block; one is sealed where there is none."""
    wait_until_concluded()
    seal_all()
    return int(market.rows("SELECT max(height) FROM ledger_block")[0][0])


def posts(scene: Scene) -> dict[str, tuple[str, dict[str, str]]]:
    """Every deed of the console with what would do it."""
    shop, reason = scene.shop.public_id, {"reason": "a good reason"}
    [(slug,)] = market.rows("SELECT slug FROM library_product WHERE id = %s", scene.goods.product_id)
    return {
        "suspend": (url("suspend", shop), reason),
        "resume": (url("resume", shop), {}),
        "support": (url("support", shop), reason),
        "change_plan": (url("change_plan", shop), {"plan": "pro"}),
        "deposit_return": (url("deposit_return", shop), {"amount": "1", "key": "dep_access", **reason}),
        "invoice_end": (url("invoice_end", billed(scene)), {"deed": "void", **reason}),
        "close": (url("close", shop), {**reason, "typed": scene.shop.slug}),
        "keep": (url("keep", shop), {}),
        "finish": (url("finish", shop), {}),
        "erase": (url("erase", shop), {**reason, "typed": scene.shop.slug}),
        "export": (url("export", shop), {}),
        "region_grant": (
            url("region_grant", "440300"),
            {"substation": scene.shop.slug, "starts": "2031-01-01", "ends": "2031-12-31", "answer_days": "3"},
        ),
        "grant_end": (url("grant_end", held(scene)[0]), {}),
        "lead_done": (url("lead_done", held(scene)[1]), {}),
        "lead_offer": (url("lead_offer", held(scene)[1]), {}),
        "lead_forget": (url("lead_forget", held(scene)[1]), {}),
        "terms_new": (url("terms_new", shop), {"sku": scene.goods.code, "unit": "9"}),
        "terms_off": (url("terms_off", shop), {"percent": "3", "digest": "x"}),
        "terms_file": (url("terms_file", shop), {}),
        "terms_end": (url("terms_end", shop, "pvp_NONE"), {}),
        "terms_end_all": (url("terms_end_all", shop), {}),
        "plan_new": (url("plan_new"), {"code": "gold"}),
        "plan": (url("plan", "basic"), {"name_en": "Taken"}),
        "products_shelf": (url("products_shelf"), {"everything": "1", "deed": "off"}),
        "product_new": (url("product_new"), {"slug": "x"}),
        "product": (url("product", slug), {"name_zh": "x"}),
        "product_picture": (url("product_picture", slug), {"deed": "remove"}),
        "sku_new": (url("sku_new", slug), {"code": "X"}),
        "sku": (url("sku", scene.goods.code), {"name_zh": "x"}),
        "category_new": (url("category_new"), {"slug": "x"}),
        "category": (url("category", "cards"), {"name_zh": "x"}),
        "brand_new": (url("brand_new"), {"slug": "x"}),
        "imports": (url("imports"), {}),
        "import_checked": (url("import_checked", scene.run), {}),
        "import_discard": (url("import_discard", scene.run), {}),
        "count": (url("count", scene.counted.code), {"available": "9"}),
        "batch_void": (url("batch_void", scene.batch), reason),
        "batch_export": (url("batch_export", scene.batch), reason),
        "code_reveal": (url("code_reveal", _code_of(scene)), reason),
        "code_import": (url("code_import"), {"sku": scene.goods.code, "paste": "B-1"}),
        "case_settle": (url("case_settle", scene.case), {"resolution": "CREDIT", "evidence": "I looked."}),
        "case_note": (url("case_note", scene.case), {"text": "A note."}),
        "event_replay": (url("event_replay", scene.event), {}),
        "merchant_new": (url("merchant_new"), {"name": "x"}),
        "merchant_switch": (url("merchant_switch", scene.account.public_id), {"enabled": "0"}),
        "rule_new": (url("rule_new"), {"deed": "make", "note": "x"}),
        "keys": (url("keys"), {}),
        "people": (url("people"), {"email": "new@console.example", "role": "VIEWER"}),
        "person_role": (url("person_role", scene.token), {"role": "VIEWER"}),
        "person_active": (url("person_active", scene.token), {"active": "0"}),
        "person_again": (url("person_again", scene.token), {}),
        "person_withdraw": (url("person_withdraw", scene.token), {}),
        "person_reset": (url("person_reset", scene.token), {}),
        "role_new": (url("role_new"), {"name": "x", "permissions": "stock.look"}),
        "role_edit": (url("role_edit", scene.token), {"name": "x", "permissions": "stock.look"}),
        "role_remove": (url("role_remove", scene.token), {}),
        "sync_repeat": (url("sync_repeat"), {"deed": "full"}),
        "job_retry": (url("job_retry", scene.job), {}),
        "tokens": (url("tokens"), {"name": "x", "scopes": "stock:read"}),
        "token_revoke": (url("token_revoke", scene.token), {}),
    }


def _code_of(scene: Scene) -> int:
    return int(market.rows("SELECT min(id) FROM stock_code WHERE sku_id = %s", scene.goods.sku_id)[0][0])


def everything() -> dict[str, Any]:
    """The tables that the console can change, as one comparable value."""
    tables = (
        "tenants_substation", "tenants_plan", "tenants_syncstate", "library_product", "library_sku", "library_category",
        "library_brand", "library_supplyprice", "library_privateprice", "library_importrun", "stock_code", "stock_codereveal",
        "stock_stockcount", "receipts_paymentcase", "receipts_casenote", "receipts_inboxevent", "jobs_job",
        "accounts_apitoken", "accounts_auditrecord", "accounts_user", "accounts_staffrole", "receipts_merchantaccount", "splits_splitrule",
        "billing_invoice", "ledger_transfer", "regions_regiongrant", "regions_lead",
        "tenants_substationstep", "tenants_shopexport", "tenants_erasurerecord",
    )  # fmt: skip
    return {
        table: market.rows(
            f"SELECT count(*), md5(coalesce(string_agg(x::text, '' ORDER BY x::text), '')) FROM {table} x"
        )
        for table in tables
    }


class TestPages:
    @pytest.mark.parametrize("name", LISTS)
    def test_renders_a_list_for_an_operator(self, operator: Client, scene: Scene, name: str) -> None:
        response = operator.get(url(name))

        assert response.status_code == 200
        assert b"k-page-title" in response.content

    def test_renders_each_detail_for_an_operator(self, operator: Client, scene: Scene) -> None:
        for name, address in details(scene).items():
            assert operator.get(address).status_code == 200, name

    def test_renders_in_chinese_too(self, operator: Client, scene: Scene) -> None:
        for name, address in {**{name: url(name) for name in LISTS}, **details(scene)}.items():
            response = operator.get(address, HTTP_ACCEPT_LANGUAGE="zh-CN")
            assert response.status_code == 200, name
            assert response.headers["Content-Language"] == "zh-hans", name

    def test_a_viewer_may_look_at_all_of_it(self, viewer: Client, scene: Scene) -> None:
        for name, address in {**{name: url(name) for name in LISTS}, **details(scene)}.items():
            assert viewer.get(address).status_code == 200, name

    @pytest.mark.parametrize("name", EXPORTS)
    @pytest.mark.parametrize("kind", ["csv", "xlsx"])
    def test_each_list_exports(self, operator: Client, scene: Scene, name: str, kind: str) -> None:
        response = operator.get(url(name), {"export": kind})

        assert response.status_code == 200
        assert response.headers["Content-Disposition"].endswith(f'.{kind}"')
        assert response.headers["Cache-Control"] == "no-store"

    def test_a_page_that_is_not_there_is_404(self, operator: Client, scene: Scene, alice: Any) -> None:
        addresses = (
            url("substation", "sub_NOBODY"), url("plan", "none"), url("product", "none"), url("sku", "NONE"),
            url("category", "none"), url("brand", "none"), url("import_run", "imp_NONE"), url("batch", "bat_NONE"),
            url("order", scene.shop.slug, "KNONE"), url("order", alice.slug, scene.order),
            url("account", "main:nothing"), url("transfer", "trf_NONE"), url("case", "case_NONE"),
            url("event", 10**9), url("merchant", "acc_NONE"), url("rule", 10**6), url("block", 10**6),
            url("account_days", "main:nothing"), url("code_reveal", 10**9), url("count", "NONE"),
            url("region", "999999"), url("lead", "led_NONE"),
        )  # fmt: skip

        for address in addresses:
            assert operator.get(address).status_code == 404, address

    def test_shows_no_internal_name_where_a_filter_is_nonsense(self, operator: Client, scene: Scene) -> None:
        response = operator.get(
            url("orders"),
            # With the order's number, for other tests' orders may fill the first page.
            {
                "q": scene.order,
                "state": "NO",
                "since": "yesterday",
                "sort": "--x",
                "page": "-3",
                "substation": "sub_NO",
            },
        )

        assert response.status_code == 200
        assert scene.order.encode() in response.content


class TestDoors:
    @pytest.mark.parametrize("name", LISTS)
    def test_sends_a_stranger_to_the_log_in(self, stranger: Client, name: str) -> None:
        response = stranger.get(url(name))

        assert response.status_code == 302
        assert response.headers["Location"].startswith("/login/?next=%2Fconsole%2F")

    def test_a_strangers_deed_changes_nothing(self, stranger: Client, scene: Scene) -> None:
        deeds, before = posts(scene), everything()

        for name, (address, data) in deeds.items():
            response = stranger.post(address, data)
            assert response.status_code in (302, 403), name
            if response.status_code == 302:
                assert response.headers["Location"].startswith("/login/"), name

        assert everything() == before

    def test_refuses_a_viewers_deeds_with_nothing_changed(self, viewer: Client, scene: Scene) -> None:
        deeds, before = posts(scene), everything()

        for name, (address, data) in deeds.items():
            assert viewer.post(address, data).status_code == 403, name

        assert everything() == before

    def test_knows_every_deed(self, scene: Scene) -> None:
        """A new address that takes a POST is added to the list above."""
        looking = {*LISTS, *details(scene), "library_export", "sku_options", "brand", "fetch", "region_shops"} - {
            "plan",
            "product",
            "sku",
            "keys",
            "people",
        }
        names = {pattern.name for pattern in get_resolver("shared_apps.console.urls").url_patterns}

        assert names - looking - set(posts(scene)) == set()

    def test_a_shop_has_no_console(self, alice: Any, operator: Client) -> None:
        host = f"{alice.slug}.localhost"

        for address in ("/console/", "/console/orders/", "/console/tokens/"):
            assert operator.get(address, HTTP_HOST=host).status_code == 404, address

    def test_a_log_in_of_a_shop_opens_nothing_here(self, alice: Any, stranger: Client) -> None:
        from kameng.accounts.models import User
        from kameng.db.context import in_substation

        with in_substation(alice):
            owner = User.objects.get(email=alice.owner_email)
            stranger.force_login(owner, backend="kameng.accounts.backends.EmailBackend")

        assert stranger.get("/console/").status_code == 302

    def test_looking_leaves_no_trace_in_the_audit(self, operator: Client, scene: Scene) -> None:
        with in_main():
            before = AuditRecord.objects.count(), CodeReveal.objects.count()

        for address in details(scene).values():
            operator.get(address)

        with in_main():
            assert (AuditRecord.objects.count(), CodeReveal.objects.count()) == before
