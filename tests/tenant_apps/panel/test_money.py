"""The overview's figures and the statement: the same cents as on the orders."""

from __future__ import annotations

from typing import Any

from tenant_apps.finance import sync
from tenant_apps.orders.models import Order
from tests.tenant_apps.panel.office import Office, csv_rows


def sold(office: Office) -> Any:
    placed = office.place()
    assert office.pay(placed) == "SALE"
    sync.ensure_state(office.shop.pk)
    sync.sync_statement(office.shop, full=True)
    return office.read(Order, number=placed.number)


class TestStatement:
    def test_has_a_line_for_the_sale_that_leads_to_it(self, office: Office) -> None:
        order = sold(office)

        response = office.owner.get("/panel/statement/")

        found = response.context["found"]
        assert (found.opening_minor, found.in_minor, found.out_minor, found.closing_minor) == (
            0, order.earned_minor, 0, order.earned_minor,
        )  # fmt: skip
        row = response.context["lines"][0]
        assert (str(row["kind"]), row["line"].amount_minor) == ("Sale", order.earned_minor)
        assert row["url"] == f"/panel/orders/{order.number}/"

    def test_of_a_time_before_has_no_line_and_says_so(self, office: Office) -> None:
        sold(office)

        response = office.owner.get("/panel/statement/?since=2020-01-01&until=2020-01-31")

        assert response.context["found"].closing_minor == 0
        assert "Nothing moved in this period" in response.content.decode()

    def test_exports_exactly_its_lines(self, office: Office) -> None:
        order = sold(office)

        rows = csv_rows(office.owner.get("/panel/statement/?export=csv"))

        assert rows[0] == ["Time", "What", "Account", "Reference", "Transfer", "Currency", "Amount", "Balance after"]
        assert [row[1:4] + row[5:] for row in rows[1:]] == [
            [
                "Sale",
                "Pending",
                order.number,
                "CNY",
                f"{order.earned_minor / 100:.2f}",
                f"{order.earned_minor / 100:.2f}",
            ]
        ]

    def test_takes_any_address(self, office: Office) -> None:
        browser = office.owner

        for query in ("page=99", "page=x", "account=x", "since=2026-05-05&until=2026-01-01", "since=9999-01-01"):
            assert browser.get(f"/panel/statement/?{query}").status_code == 200, query


class TestOverview:
    def test_counts_today_beside_yesterday(self, office: Office) -> None:
        order = sold(office)

        today = office.owner.get("/panel/").context["today"]

        assert (today.orders.today, today.gmv.today, today.earned.today) == (1, 1140, order.earned_minor)
        assert (today.orders.yesterday, today.orders.trend_bps) == (0, None)
        assert len(today.orders.days) == 14

    def test_says_what_needs_a_person(self, make_office: Any) -> None:
        office = make_office(codes=0, delivery="MANUAL")
        placed = office.place()
        office.pay(placed)

        titles = [str(todo.title) for todo in office.owner.get("/panel/").context["todos"]]

        assert titles[0] == "1 to deliver by hand"

    def test_the_first_steps_tick_themselves_off_and_can_be_put_away(self, office: Office) -> None:
        browser = office.owner
        browser.post(
            "/panel/pricing/rule/",
            {"scope": "SKU", "target": office.goods.sku_id, "kind": "FIXED", "value": "3", "rounding": "NONE"},
        )
        looked = browser.post("/panel/steps/look/")

        steps = {step["key"]: step["done"] for step in browser.get("/panel/").context["steps"]}
        browser.post("/panel/steps/dismissed/")

        assert looked["Location"] == "/"
        assert steps == {
            "look": True, "prices": True, "notice": False, "face": False, "share": False, "sale": False,
        }  # fmt: skip
        assert browser.get("/panel/").context["steps"] == []
        assert browser.post("/panel/steps/sale/").status_code == 404
