"""Orders in the panel: found, summed, exported, delivered, cancelled, and looked into with a reason."""

from __future__ import annotations

from typing import Any

from kameng.db.context import in_main, in_substation
from tenant_apps.finance import sync
from tenant_apps.orders.models import Order, OrderLine
from tests.tenant_apps.panel.office import Office, csv_rows


def line_of(office: Office, number: str) -> Any:
    with in_substation(office.shop):
        return OrderLine.objects.get(order__number=number)


def reveals() -> int:
    from shared_apps.stock.models import CodeReveal

    with in_main():
        return CodeReveal.objects.count()


class TestList:
    def test_finds_by_number_contact_and_state_and_sums_what_was_paid(self, office: Office) -> None:
        paid, waiting = office.place(), office.place(contact="bert@example.com")
        office.pay(paid)
        browser = office.owner

        def numbers(query: str) -> list[str]:
            return [row.number for row in browser.get(f"/panel/orders/?{query}").context["rows"]]

        assert numbers("") == [waiting.number, paid.number]
        assert numbers(f"q={paid.number.lower()}") == [paid.number]
        assert numbers("q=bert@") == [waiting.number]
        assert numbers(f"q={paid.number[:8].lower()}") == [paid.number]
        assert numbers(f"q={paid.number[2:8]}") == []
        assert numbers("state=DELIVERED") == [paid.number]
        assert numbers("since=2100-01-01") == []
        assert numbers("sort=total") == [paid.number, waiting.number]
        sums = browser.get("/panel/orders/").context["sums"]
        earned = office.read(Order, number=paid.number).earned_minor
        assert (sums.count, sums.total_minor, sums.earned_minor) == (2, 1140, earned)

    def test_takes_any_address(self, office: Office) -> None:
        browser = office.owner

        for query in ("since=x", "since=0001-01-01", "until=9999-12-31", "state=x", "sort=-earned", "page=x", "q=%00"):
            assert browser.get(f"/panel/orders/?{query}").status_code == 200, query

    def test_exports_exactly_what_matches_and_earnings_to_the_owner_alone(self, office: Office) -> None:
        placed = office.place()
        office.pay(placed)
        order = office.read(Order, number=placed.number)

        owners = csv_rows(office.owner.get("/panel/orders/?export=csv"))
        staffs = csv_rows(office.staff.get("/panel/orders/?export=csv"))

        assert owners[0] == ["Order", "State", "Contact", "Goods", "Currency", "Paid by the buyer", "You earn", "Placed",
                             "Paid", "Delivered"]  # fmt: skip
        assert owners[1][:3] == [placed.number, "Delivered", "ann@example.com"]
        assert owners[1][4:7] == ["CNY", "11.40", f"{order.earned_minor / 100:.2f}"]
        assert staffs[0] == [name for name in owners[0] if name != "You earn"]
        assert len(owners) == len(staffs) == 2


class TestDetail:
    def test_tells_what_happened_newest_first_and_where_the_money_went(self, office: Office) -> None:
        placed = office.place()
        office.pay(placed)
        sync.ensure_state(office.shop.pk)
        sync.sync_statement(office.shop, full=True)

        response = office.owner.get(f"/panel/orders/{placed.number}/")

        titles = [str(event["title"]) for event in response.context["events"]]
        assert titles[-1] == "Order placed"
        assert "Payment received" in titles[:-1]
        parts = response.context["parts"]
        order = office.read(Order, number=placed.number)
        assert sum(part["minor"] for part in parts) == order.total_minor == 1140
        assert (parts[-1]["minor"], parts[-1]["tone"]) == (order.earned_minor, "success")

    def test_finds_a_number_however_it_was_typed(self, office: Office) -> None:
        placed = office.place()

        assert office.owner.get(f"/panel/orders/{placed.number.lower()}/").context["order"].number == placed.number
        assert office.owner.get(f"/panel/search/?q={placed.number.lower()}")["Location"].endswith(f"/{placed.number}/")

    def test_says_when_money_came_that_does_not_fit(self, office: Office) -> None:
        from kameng.lib import clock
        from tenant_apps.payments import services as payments
        from tests.tenant_apps import market

        placed, now = office.place(), clock.utc_now()
        with in_substation(office.shop):
            payment_id = market.announce(placed, office.account, now=now)
        short = market.pay_fact(office.account, payment_id, placed.total_minor - 100, occurred_at=now)
        assert payments.take_fact(fact=short, now=now) == "CASE"

        response = office.owner.get(f"/panel/orders/{placed.number}/")

        assert str(response.context["misfit"]) == "Paid too little"
        event = response.context["events"][0]
        assert str(event["text"]).startswith("Paid too little · rcp_")
        assert (str(event["by"]), event["tone"]) == ("Test channel", "warning")
        assert "None of it is lost" in response.content.decode()

    def test_an_order_of_nobody_leads_back_into_the_panel(self, office: Office) -> None:
        response = office.owner.get("/panel/orders/KNOSUCHORDER/")

        assert response.status_code == 404
        assert "This shop has no order with this number." in response.content.decode()
        assert 'href="/panel/"' in response.content.decode()


class TestDeliverByHand:
    def test_queues_the_longest_waiting_first_and_delivers(self, make_office: Any) -> None:
        office = make_office(codes=0, delivery="MANUAL")
        first, second = office.place(), office.place(contact="bert@example.com")
        office.pay(first)
        office.pay(second)
        browser = office.staff

        waiting = [row["order"].number for row in browser.get("/panel/orders/queue/").context["waiting"]]
        line = line_of(office, first.number)
        response = browser.post(
            f"/panel/orders/lines/{line.pk}/deliver/", {"note": " user: ann ", "next": "/panel/orders/queue/"}
        )

        assert waiting == [first.number, second.number]
        assert response["Location"] == "/panel/orders/queue/"
        line = line_of(office, first.number)
        assert (line.delivery_state, line.delivery_note) == ("DELIVERED", "user: ann")
        assert office.read(Order, number=first.number).state == "DELIVERED"
        assert office.read(Order, number=second.number).state == "PAID"
        assert office.acts()[-1] == "orders.line.delivered"

    def test_the_queue_is_searched_and_exported(self, make_office: Any) -> None:
        office = make_office(codes=0, delivery="MANUAL")
        first, second = office.place(), office.place(contact="bert@example.com")
        office.pay(first)
        office.pay(second)
        browser = office.staff

        found = browser.get("/panel/orders/queue/?q=bert").context["waiting"]
        rows = csv_rows(browser.get("/panel/orders/queue/?q=bert&export=csv"))

        assert [row["order"].number for row in found] == [second.number]
        assert rows[0] == ["Order", "Contact", "Goods", "SKU code", "Quantity", "Fields", "Paid"]
        assert [row[:2] + row[3:6] for row in rows[1:]] == [
            [second.number, "bert@example.com", office.goods.code, "1", ""]
        ]

    def test_refuses_nothing_and_too_much_and_keeps_what_was_typed(self, make_office: Any) -> None:
        office = make_office(codes=0, delivery="MANUAL")
        placed = office.place()
        office.pay(placed)
        line, before, browser = line_of(office, placed.number), office.counts(), office.owner

        empty = browser.post(f"/panel/orders/lines/{line.pk}/deliver/", {"note": "   "})
        long = browser.post(f"/panel/orders/lines/{line.pk}/deliver/", {"note": "y" * 4001})

        assert (empty.status_code, long.status_code) == (422, 422)
        assert b"y" * 4001 in long.content
        assert office.counts() == before
        assert line_of(office, placed.number).delivery_state == "QUEUED"

    def test_refuses_a_line_that_is_delivered_already(self, office: Office) -> None:
        placed = office.place()
        office.pay(placed)
        before = office.counts()

        response = office.owner.post(
            f"/panel/orders/lines/{line_of(office, placed.number).pk}/deliver/", {"note": "typed by a slower colleague"}
        )

        assert response.status_code == 409
        assert "This was not delivered" in response.content.decode()
        assert "typed by a slower colleague" in response.content.decode()
        assert office.counts() == before


class TestCancel:
    def test_ends_an_unpaid_order_and_says_who_did(self, office: Office) -> None:
        placed = office.place()

        response = office.staff.post(f"/panel/orders/{placed.number}/cancel/", {"note": "typo"})

        assert response.status_code == 302
        assert office.read(Order, number=placed.number).state == "CANCELLED"
        event = office.owner.get(f"/panel/orders/{placed.number}/").context["events"][0]
        assert office.acts()[-1] == "orders.order.cancelled"
        assert event["by"] == "Staff"

    def test_refuses_a_paid_one(self, office: Office) -> None:
        placed = office.place()
        office.pay(placed)
        before = office.counts()

        assert office.owner.post(f"/panel/orders/{placed.number}/cancel/").status_code == 409
        assert office.counts() == before
        assert office.read(Order, number=placed.number).state == "DELIVERED"


class TestCodes:
    def test_are_shown_to_somebody_who_says_why_and_the_look_is_recorded(self, office: Office) -> None:
        placed = office.place()
        office.pay(placed)
        before = reveals()

        response = office.staff.post(
            f"/panel/orders/{placed.number}/codes/", {"reveal-reason": "the buyer says it fails"}
        )

        assert office.goods.texts[0] in response.content.decode()
        assert "no-store" in response["Cache-Control"]
        assert reveals() == before + 1
        assert office.acts()[-1] == "orders.codes.revealed"

    def test_stay_hidden_without_a_reason(self, office: Office) -> None:
        placed = office.place()
        office.pay(placed)
        before, seen = office.counts(), reveals()

        response = office.owner.post(f"/panel/orders/{placed.number}/codes/", {"reveal-reason": "  "})

        assert response.status_code == 422
        assert office.goods.texts[0] not in response.content.decode()
        assert (office.counts(), reveals()) == (before, seen)

    def test_do_not_stand_on_the_order_s_page_nor_in_its_export(self, office: Office) -> None:
        placed = office.place()
        office.pay(placed)

        for path in (f"/panel/orders/{placed.number}/", "/panel/orders/?export=csv"):
            assert office.goods.texts[0].encode() not in office.owner.get(path).content


class TestBuyersPage:
    def test_opens_for_a_reason(self, office: Office) -> None:
        placed = office.place()

        response = office.owner.post(f"/panel/orders/{placed.number}/buyer/", {"link-reason": "mail went astray"})

        address = response.context["buyer_url"]
        assert office.browser().get(address.partition("localhost")[2]).status_code == 200
        assert office.acts()[-1] == "panel.order.link"

    def test_stays_closed_without_one(self, office: Office) -> None:
        placed = office.place()
        before = office.counts()

        response = office.owner.post(f"/panel/orders/{placed.number}/buyer/", {"link-reason": ""})

        assert response.status_code == 422
        assert "buyer_url" not in response.context
        assert office.counts() == before
