"""The contract: it builds without a warning, can be read, and every endpoint keeps its shut doors shut."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from tests.api.conformance import METHODS, contracts
from tests.api.conftest import RATES, Api, a_token, a_user, host_of, person_at, program_at, stranger_at


def operations(name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, address below /api/v1/ with its places filled, and the operation."""
    for address, methods in contracts()[name].document()["paths"].items():
        for method in METHODS:
            if method in methods:
                filled = address.removeprefix("/api/v1/")
                for place in ("public_id", "slug", "code", "number"):
                    filled = filled.replace(f"{{{place}}}", "nothing-of-this-name")
                yield method.upper(), filled, methods[method]


def guarded(name: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Those that want a token."""
    return [found for found in operations(name) if {} not in found[2].get("security", [{}])]


class TestDocument:
    @pytest.mark.parametrize("name", ["main", "shop"])
    def test_builds_without_a_warning(self, name: str) -> None:
        from drf_spectacular.drainage import GENERATOR_STATS

        GENERATOR_STATS.reset()

        contracts()[name].document.__wrapped__(contracts()[name])

        assert dict(GENERATOR_STATS._warn_cache) == {}
        assert dict(GENERATOR_STATS._error_cache) == {}

    def test_is_openapi_31_and_served_to_everybody(self, main: Api, visitor: Api) -> None:
        for api, title in ((main, "Kameng"), (visitor, "Shop")):
            answer = api.get("schema/")

            assert answer.status == 200
            assert answer.headers["Content-Type"] == "application/vnd.oai.openapi+json"
            assert answer.body["openapi"] == "3.1.0"
            assert answer.body["info"]["title"] == title

    def test_says_the_same_in_any_language(self, visitor: Api) -> None:
        assert visitor.get("schema/", Accept_Language="zh-hans").body == visitor.get("schema/").body

    def test_names_nothing_of_the_main_station_on_a_shops_host(self, visitor: Api) -> None:
        text = str(visitor.get("schema/").body)

        assert "Kameng" not in text
        assert "/signups/" not in text

    @pytest.mark.parametrize("name", ["main", "shop"])
    def test_every_refusal_has_the_one_error_shape(self, name: str) -> None:
        for method, address, operation in operations(name):
            for status, answer in operation["responses"].items():
                if status.startswith(("4", "5")):
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}, (method, address, status)

    @pytest.mark.parametrize("name", ["main", "shop"])
    def test_everything_that_creates_takes_an_idempotency_key(self, name: str) -> None:
        for method, address, operation in operations(name):
            if "201" in operation["responses"] or "202" in operation["responses"]:
                names = [parameter["name"] for parameter in operation["parameters"]]
                assert "Idempotency-Key" in names, (method, address)


class TestPage:
    @pytest.mark.parametrize("language", ["en", "zh-hans"])
    def test_shows_every_operation_and_loads_nothing_from_elsewhere(self, shop: Any, language: str) -> None:
        for host, name in (("localhost", "main"), (host_of(shop), "shop")):
            page = Client().get("/api/v1/docs/", HTTP_HOST=host, headers={"Accept-Language": language})

            text = page.content.decode()
            assert page.status_code == 200
            assert all(f'id="{operation["operationId"]}"' in text for _m, _a, operation in operations(name))
            assert "//cdn" not in text
            assert 'src="http' not in text

    def test_is_where_a_person_gets_who_opens_the_api_and_a_program_gets_the_addresses(self, shop: Any) -> None:
        for host, title in (("localhost", "Kameng"), (host_of(shop), "Shop")):
            person = Client().get("/api/v1/", HTTP_HOST=host, headers={"Accept": "text/html,*/*"})
            program = stranger_at(host).get("")

            assert (person.status_code, person.headers["Location"]) == (302, "/api/v1/docs/")
            assert program.body == {
                "title": title, "docs": f"http://{host}/api/v1/docs/", "schema": f"http://{host}/api/v1/schema/",
            }  # fmt: skip

    def test_says_how_much_and_what_it_means(self, shop: Any) -> None:
        text = (
            Client().get("/api/v1/docs/", HTTP_HOST=host_of(shop), headers={"Accept-Language": "en"}).content.decode()
        )
        order = text[text.index('id="orders_create"') :]

        row = order[order.index("lines[].quantity") :].partition("</tr>")[0]
        assert '>integer<span class="k-cell-sub">1 … 100</span>' in row
        row = order[order.index(">contact<") :].partition("</tr>")[0]
        assert '>string<span class="k-cell-sub">≤ 120 characters</span>' in row
        assert "An email address, a phone or a QQ number." in row
        row = order[order.index(">expected_total_minor<") :].partition("</tr>")[0]
        assert ">integer or null</td>" in row
        assert '<code class="k-mono">details.total_minor</code>' in row

    def test_has_no_style_or_script_in_the_page(self, main: Api) -> None:
        text = Client().get("/api/v1/docs/", HTTP_HOST="localhost").content.decode()

        body = text[text.index("<main") : text.index("</main>")]
        assert "<script" not in body
        assert "style=" not in body
        assert "onclick" not in body


class TestDoors:
    def test_there_are_as_many_guarded_operations_as_expected(self) -> None:
        assert len(guarded("main")) == 32
        assert len(guarded("shop")) == 11

    def test_a_stranger_is_asked_for_a_token(self, main: Api, visitor: Api) -> None:
        for name, api in (("main", main), ("shop", visitor)):
            for method, address, _operation in guarded(name):
                answer = api.call(method, address, {})

                assert answer.status == 401, (method, address)
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                assert answer.error["code"] == "not_authenticated"

    def test_a_token_of_another_shop_is_unknown(self, shop: Any, other_shop: Any) -> None:
        from kameng.accounts.tokens import SHOP_SCOPES

        foreign = program_at(host_of(shop), a_token(SHOP_SCOPES, other_shop))

        for method, address, _operation in operations("shop"):
            answer = foreign.call(method, address, {})
            assert (answer.status, answer.error["code"]) == (401, "authentication_failed"), (method, address)

    def test_a_shops_token_is_nothing_at_the_main_station_and_the_other_way_round(self, shop: Any) -> None:
        from kameng.accounts.tokens import MAIN_SCOPES, SHOP_SCOPES

        crossed = program_at("localhost", a_token(SHOP_SCOPES, shop))
        for method, address, _operation in guarded("main"):
            assert crossed.call(method, address, {}).status == 401, (method, address)
        crossed = program_at(host_of(shop), a_token(MAIN_SCOPES))
        for method, address, _operation in guarded("shop"):
            assert crossed.call(method, address, {}).status == 401, (method, address)

    def test_each_operation_wants_its_own_scope(self, shop: Any) -> None:
        from kameng.accounts.tokens import MAIN_SCOPES, SHOP_SCOPES

        for name, scopes, host, substation in (
            ("main", MAIN_SCOPES, "localhost", None), ("shop", SHOP_SCOPES, host_of(shop), shop),
        ):  # fmt: skip
            for scope in scopes:
                others = [one for one in scopes if one != scope]
                without = program_at(host, a_token(others, substation))
                wanted = [found for found in guarded(name) if f"`{scope}`" in found[2]["description"]]
                assert wanted, scope
                for method, address, _operation in wanted:
                    answer = without.call(method, address, {})
                    assert (answer.status, answer.error["code"]) == (403, "permission_denied"), (method, address)

    def test_a_viewer_looks_and_changes_nothing(self, shop: Any) -> None:
        for name, host, substation in (("main", "localhost", None), ("shop", host_of(shop), shop)):
            viewer = person_at(host, a_user("VIEWER", substation))
            for method, address, operation in guarded(name):
                answer = viewer.call(method, address, None if method == "GET" else {})
                closed = method != "GET" or "statement" in address
                assert (answer.status == 403) == closed, (method, address, operation["operationId"], answer.status)

    def test_a_cookie_without_the_pages_token_changes_nothing(self, shop: Any) -> None:
        person = person_at(host_of(shop), a_user("OWNER", shop))
        bare = Api(person.host, person.client, (("Accept-Language", "en"),))

        answer = bare.call("PUT", "panel/prices/rules/", {"scope": "SHOP", "kind": "PERCENT", "value": "20"})

        assert (answer.status, answer.error["code"]) == (403, "permission_denied")

    def test_staff_see_orders_and_no_money(self, shop: Any) -> None:
        staff = person_at(host_of(shop), a_user("STAFF", shop))

        assert staff.get("panel/orders/").status == 200
        assert staff.get("panel/statement/").status == 403

    def test_a_revoked_token_opens_nothing(self, shop: Any) -> None:
        from kameng.accounts import tokens
        from kameng.accounts.types import SYSTEM
        from kameng.db.context import in_substation
        from kameng.lib import clock

        secret = a_token(["orders:read"], shop)
        program = program_at(host_of(shop), secret)
        assert program.get("panel/orders/").status == 200

        with in_substation(shop):
            found = tokens.find(secret)
            assert found is not None
            tokens.revoke(token_id=found.pk, by=SYSTEM, now=clock.utc_now())

        assert program.get("panel/orders/").status == 401


class TestErrors:
    def test_speak_the_readers_language(self, visitor: Api) -> None:
        english = visitor.get("listings/nothing/", Accept_Language="en")
        chinese = visitor.get("listings/nothing/", Accept_Language="zh-CN")

        assert english.error == {
            "code": "product_gone", "message": "This product is not in the shop any more.", "field": None,
        }  # fmt: skip
        assert (chinese.status, chinese.error["code"]) == (404, "product_gone")
        assert any("\u4e00" <= char <= "\u9fff" for char in chinese.error["message"])

    def test_an_unknown_address_below_the_api_answers_json(self, main: Api, visitor: Api) -> None:
        for api, method in itertools.product((main, visitor), METHODS):
            for address in ("nothing/", "orders", "plans/1/2/3/"):
                answer = api.call(method.upper(), address, None if method == "get" else {})
                assert answer.status == 404
                assert answer.error["code"] == "not_found"
                assert ("end with a slash" in answer.error["message"]) == (address == "orders")

    def test_an_unknown_shop_answers_json(self, prepared: None) -> None:
        answer = stranger_at("nobody.localhost").get("listings/")

        assert (answer.status, answer.error) == (
            404, {"code": "not_found", "message": "There is no shop at this address.", "field": None},
        )  # fmt: skip

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
    def test_a_method_that_is_not_there(self, visitor: Api, owner: Api, method: str) -> None:
        for api in (visitor, owner):
            answer = api.call(method, "listings/", {})
            assert (answer.status, answer.error["code"]) == (405, "method_not_allowed")
            assert answer.headers["Allow"] == "GET, HEAD"

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ("{", 400, "parse_error"),
            ("[" * 100_000, 400, "parse_error"),
            ('{"lines": NaN}', 400, "parse_error"),
            ('{"lines": ' + "9" * 5_000 + "}", 400, "parse_error"),
            (b"\xff\xfe{}", 400, "parse_error"),
            ("[]", 422, "invalid"),
            ('"text"', 422, "invalid"),
            ('{"contact": "a\\u0000b"}', 422, "bad_character"),
            ('{"buyer_fields": {"x": ["\\ud800"]}}', 422, "bad_character"),
            ('{"\\udfff": 1}', 422, "bad_character"),
        ],
    )
    def test_a_body_that_is_none(self, visitor: Api, body: str | bytes, status: int, code: str) -> None:
        answer = visitor.post("orders/", body)

        assert (answer.status, answer.error["code"]) == (status, code)

    def test_names_the_field_by_its_path(self, visitor: Api) -> None:
        answer = visitor.post("orders/", {"lines": [{"sku_id": 1, "quantity": 0}], "contact": "ann@example.com"})

        assert (answer.status, answer.error["field"]) == (422, "lines.0.quantity")
        nul = visitor.post("orders/", {"buyer_fields": {"account": "a\x00"}})
        assert (nul.status, nul.error["field"]) == (422, "buyer_fields.account")

    def test_a_form_is_not_json(self, shop: Any) -> None:
        answer = Client().post(
            "/api/v1/orders/", "a=1", content_type="application/x-www-form-urlencoded", HTTP_HOST=host_of(shop)
        )

        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")

    def test_too_large_a_body(self, visitor: Api) -> None:
        answer = visitor.post("orders/", {"contact": "x" * (5 * 1024 * 1024)})

        assert (answer.status, answer.error["code"]) == (413, "too_large")

    @pytest.mark.parametrize("path", ["listings/%00/", "listings/%ed%a0%80/", "orders/%00/", "listings/%ff/price/"])
    def test_an_address_with_what_can_not_be_stored(self, visitor: Api, path: str) -> None:
        assert visitor.get(path).status == 404

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("q=%00", "q"), ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("limit=%d9%a3", "limit"),
            ("cursor=x", "cursor"), ("cursor=cD1hYmM%3D", "cursor"), ("in_stock=perhaps", "in_stock"),
            ("cursor=cD05OTk5OTk5OTk5OTk5OTk5OTk5", "cursor"), ("q=" + "x" * 101, "q"),
        ],
    )  # fmt: skip
    def test_a_query_that_can_not_be_used(self, visitor: Api, query: str, field: str) -> None:
        answer = visitor.get(f"listings/?{query}")

        assert (answer.status, answer.error["field"]) == (422, field)

    def test_answers_json_whatever_the_reader_accepts(self, visitor: Api) -> None:
        answer = visitor.get("channels/", Accept="text/html")

        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")


class TestThrottles:
    def test_one_shops_visitors_use_up_nothing_of_another(
        self, make_shop: Callable[..., Any], other_shop: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(RATES, {"anon": "2/min", "token": "2/min"})
        here, there = stranger_at(host_of(make_shop())), stranger_at(host_of(make_shop()))

        assert [here.get("channels/").status for _ in range(3)] == [200, 200, 429]
        refused = here.get("channels/")
        assert refused.error["code"] == "throttled"
        assert 1 <= int(refused.headers["Retry-After"]) <= 61
        assert there.get("channels/").status == 200

    def test_a_header_does_not_make_another_visitor(
        self, make_shop: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(RATES, {"anon": "2/min", "token": "2/min"})
        here = stranger_at(host_of(make_shop()))

        statuses = [here.get("channels/", X_Forwarded_For=f"10.0.0.{n}").status for n in range(3)]

        assert statuses == [200, 200, 429]

    def test_each_token_has_an_allowance_of_its_own(
        self, make_shop: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(RATES, {"anon": "2/min", "token": "2/min"})
        shop = make_shop()
        one, two = (program_at(host_of(shop), a_token(["orders:read"], shop)) for _ in range(2))

        assert [one.get("panel/orders/").status for _ in range(3)] == [200, 200, 429]
        assert two.get("panel/orders/").status == 200
