"""A buyer's order behind its link: what it shows, who may see it, and the way back to it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache

from kameng.db.context import in_substation, pointed_at
from kameng.lib import clock
from tenant_apps.orders import identity
from tenant_apps.orders import services as orders
from tenant_apps.orders.models import Order, OrderLine
from tenant_apps.payments import services as payments
from tenant_apps.payments.models import Payment
from tenant_apps.storefront import limits
from tests.tenant_apps import market
from tests.tenant_apps.storefront.conftest import Stall, words


def path_of(placed: Any, deed: str = "") -> str:
    return f"/o/{placed.number}/{placed.token}/{deed}"


def reveals(number: str) -> list[tuple[Any, ...]]:
    return market.rows("SELECT actor_kind, reason FROM stock_codereveal WHERE order_number = %s ORDER BY id", number)


@pytest.fixture
def paid(stall: Stall) -> Any:
    placed = stall.place(quantity=2)
    assert stall.pay(placed) == "SALE"
    return placed


class TestWhoMaySee:
    @pytest.mark.parametrize("deed", ["", "pay/", "codes/", "codes.txt", "cancel/", "pay/begin/"])
    def test_nobody_with_another_token(self, stall: Stall, paid: Any, deed: str) -> None:
        other = stall.place()
        before = stall.counts()
        visitor = stall.visitor()
        call = visitor.get if deed in ("", "pay/") else visitor.post

        for number, token in ((paid.number, other.token), (paid.number, "0" * 32), ("KNOSUCHORDER", paid.token)):
            response = call(f"/o/{number}/{token}/{deed}")
            assert response.status_code == 404
            assert paid.number not in response.content.decode() or number == paid.number
            assert stall.goods.texts[0] not in response.content.decode()

        assert stall.counts() == before
        assert reveals(paid.number) == []

    def test_not_on_another_shops_host(self, paid: Any, make_stall: Any) -> None:
        assert make_stall().visitor().get(path_of(paid)).status_code == 404

    def test_whoever_has_the_mailed_link(self, stall: Stall, paid: Any) -> None:
        with pointed_at(stall.shop):
            mailed = identity.mailed_token(paid.number)

        assert stall.visitor().get(f"/o/{paid.number}/{mailed}/").status_code == 200

    @pytest.mark.parametrize("deed", ["", "codes/"])
    def test_is_kept_by_no_cache_and_told_to_no_other_site(self, stall: Stall, paid: Any, deed: str) -> None:
        visitor = stall.visitor()
        response = visitor.post(path_of(paid, deed)) if deed else visitor.get(path_of(paid))

        assert "no-store" in response["Cache-Control"]
        assert response["Referrer-Policy"] == "same-origin"
        assert response["X-Robots-Tag"] == "noindex, nofollow"


class TestUnpaid:
    def test_offers_the_ways_to_pay_and_says_until_when(self, stall: Stall) -> None:
        placed = stall.place()

        seen = words(stall.visitor().get(path_of(placed)))

        assert "Waiting for your payment" in seen
        assert "Pay by Test" in seen
        assert "¥11.40" in seen

    def test_says_that_an_attempt_came_to_nothing_and_offers_another(self, stall: Stall) -> None:
        placed = stall.place()
        with in_substation(stall.shop):
            market.announce(placed, stall.account, now=clock.utc_now())
            Payment.objects.update(state="FAILED")

        seen = words(stall.visitor().get(path_of(placed)))

        assert "The payment did not go through Nothing was charged." in seen
        assert "Pay by Test" in seen

    def test_offers_no_way_to_pay_whose_fee_would_eat_the_order(
        self, stall: Stall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        placed = stall.place()
        asked: list[str] = []
        monkeypatch.setattr(payments, "offered_channels", lambda *, order_number: asked.append(order_number) or [])

        seen = words(stall.visitor().get(path_of(placed)))

        assert asked == [placed.number]
        assert "This shop has no way to pay at the moment." in seen

    def test_shows_a_code_to_scan_on_a_desk_and_jumps_on_a_phone(
        self, stall: Stall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        placed = stall.place()

        def started(*, order_number: str, account_id: int, **given: Any) -> Any:
            with in_substation(stall.shop):
                payment = payments.begin_payment(
                    order_number=order_number, account_id=account_id, by=given["by"], now=given["now"]
                )
                Payment.objects.filter(pk=payment.pk).update(
                    state="PENDING", channel_ref="ref", redirect_url="https://pay.example/1", qr_text="qr:1"
                )
            assert given["return_url"] == f"http://{stall.shop.slug}.localhost{path_of(placed)}"
            assert given["notify_base"] == f"http://{stall.shop.slug}.localhost"
            return payments.StartedPayment("pay_1", "testpay", "https://pay.example/1", "qr:1")

        monkeypatch.setattr(payments, "start_payment", started)
        form = {"account": stall.account.id}

        desk = stall.visitor().post(path_of(placed, "pay/begin/"), form)
        phone = stall.visitor(HTTP_USER_AGENT="Mozilla/5.0 (iPhone) Mobile").post(path_of(placed, "pay/begin/"), form)
        scan = stall.visitor().get(path_of(placed, "pay/"))

        assert desk["Location"] == path_of(placed, "pay/")
        assert phone["Location"] == "https://pay.example/1"
        assert b"k-qr-code" in scan.content
        assert "¥11.40" in words(scan)
        nothing_new = stall.visitor().get(path_of(placed, "pay/"), headers={"HX-Target": "pay"})
        assert nothing_new.status_code == 204
        assert "HX-Redirect" not in nothing_new

    def test_goes_on_from_the_code_to_the_order_when_the_money_is_there(self, stall: Stall, paid: Any) -> None:
        response = stall.visitor().get(path_of(paid, "pay/"), headers={"HX-Target": "pay"})

        assert response["HX-Redirect"] == path_of(paid)
        assert stall.visitor().get(path_of(paid, "pay/"))["Location"] == path_of(paid)

    @pytest.mark.parametrize(
        ("refusal", "said"),
        [(payments.ChannelAway(), "does not answer"), (payments.ChannelDeclined(), "would not open this payment")],
    )
    def test_keeps_the_order_when_the_channel_fails_and_says_so(
        self, stall: Stall, monkeypatch: pytest.MonkeyPatch, refusal: Exception, said: str
    ) -> None:
        placed = stall.place()

        def fails(**_: Any) -> None:
            raise refusal

        monkeypatch.setattr(payments, "start_payment", fails)
        visitor = stall.visitor()

        response = visitor.post(path_of(placed, "pay/begin/"), {"account": stall.account.id})

        seen = words(visitor.get(response["Location"]))
        assert said in seen
        assert "Pay by Test" in seen

    @pytest.mark.parametrize("account", ["", "x", "0", "99999999999999999999", "-1"])
    def test_refuses_an_account_that_is_not_offered(self, stall: Stall, account: str) -> None:
        placed = stall.place()
        before = stall.counts()

        response = stall.visitor().post(path_of(placed, "pay/begin/"), {"account": account})

        assert response["Location"] == path_of(placed) + "?problem=channel_not_found"
        assert stall.counts() == before

    def test_can_be_cancelled_and_ordered_again(self, stall: Stall) -> None:
        placed = stall.place(quantity=3)
        visitor = stall.visitor()

        visitor.post(path_of(placed, "cancel/"))

        response = visitor.get(path_of(placed))
        assert "This order was cancelled" in words(response)
        assert f"?sku={stall.goods.sku_id}&amp;quantity=3" in response.content.decode()
        assert stall.place(quantity=3).number != placed.number  # The stock is back.

    def test_that_ran_out_says_so_and_offers_another(self, stall: Stall) -> None:
        placed = stall.place()
        with in_substation(stall.shop):
            orders.expire_order(number=placed.number, now=clock.utc_now() + timedelta(hours=1))

        seen = words(stall.visitor().get(path_of(placed)))

        assert "The time to pay ran out" in seen
        assert "Order again" in seen

    def test_says_that_a_short_payment_is_looked_at(self, stall: Stall) -> None:
        placed = stall.place()
        now = clock.utc_now()
        with in_substation(stall.shop):
            payment_id = market.announce(placed, stall.account, now=now)
        payments.take_fact(fact=market.pay_fact(stall.account, payment_id, placed.total_minor - 1), now=now)

        assert "Your payment is being looked at" in words(stall.visitor().get(path_of(placed)))


class TestFollowing:
    def test_answers_304_to_who_has_the_newest_and_the_part_to_who_has_not(self, stall: Stall) -> None:
        placed = stall.place()
        visitor = stall.visitor()
        first = visitor.get(path_of(placed), headers={"HX-Target": "order"})

        same = visitor.get(path_of(placed), headers={"HX-Target": "order", "If-None-Match": first["ETag"]})
        stall.pay(placed)
        after = visitor.get(path_of(placed), headers={"HX-Target": "order", "If-None-Match": first["ETag"]})

        assert b"<html" not in first.content
        assert (same.status_code, same.content) == (304, b"")
        assert after.status_code == 200
        assert after["ETag"] != first["ETag"]
        assert "Here it is" in after.content.decode()

    def test_stops_when_nothing_can_change_any_more(self, stall: Stall, paid: Any) -> None:
        assert 'hx-trigger="every' not in stall.visitor().get(path_of(paid)).content.decode()

    def test_asks_seldom_while_a_person_has_to_do_something(self, make_stall: Any) -> None:
        stall = make_stall(codes=0, delivery="MANUAL")
        placed = stall.place()
        stall.pay(placed)

        response = stall.visitor().get(path_of(placed))

        assert 'hx-trigger="every 20s"' in response.content.decode()
        assert "The shop delivers this by hand" in words(response)


class TestHistory:
    def test_tells_each_thing_once(self, stall: Stall, paid: Any) -> None:
        response = stall.visitor().get(path_of(paid))

        assert [str(step.title) for step in response.context["seen"].steps] == [
            "Everything delivered", "Payment received", "Payment begun", "Order placed",
        ]  # fmt: skip

    def test_tells_of_money_that_a_person_looks_at(self, stall: Stall) -> None:
        placed = stall.place()
        assert stall.pay(placed, amount_minor=100) == "CASE"

        response = stall.visitor().get(path_of(placed))

        seen = words(response)
        assert "Your payment is being looked at Being looked at" in seen
        assert "Awaiting payment" not in seen
        assert "Pay by" not in seen
        assert str(response.context["seen"].steps[0].title) == "A payment has arrived"

    def test_shows_what_the_buyer_filled_in_under_the_products_labels(self, make_stall: Any) -> None:
        fields = ({"key": "uid", "label_zh": "游戏 UID", "label_en": "Player UID", "kind": "text", "required": True},)
        stall = make_stall(buyer_fields=fields)
        placed = stall.place(buyer_fields={"uid": "100<200>"})

        response = stall.visitor().get(path_of(placed))

        assert response.context["seen"].answers == [("Player UID", "100<200>")]
        assert "Player UID 100<200>" in words(response)


class TestCodes:
    def test_are_not_in_a_page_that_was_only_looked_at(self, stall: Stall, paid: Any) -> None:
        response = stall.visitor().get(path_of(paid))

        assert stall.goods.texts[0] not in response.content.decode()
        assert "Show my codes" in words(response)
        assert reveals(paid.number) == []

    def test_are_shown_by_a_post_and_each_look_is_recorded(self, stall: Stall, paid: Any) -> None:
        whole = stall.visitor().post(path_of(paid, "codes/"))
        part = stall.visitor().post(path_of(paid, "codes/"), headers={"HX-Target": "codes"})

        for response in (whole, part):
            assert all(text in words_of(response) for text in stall.goods.texts[:2])
            assert stall.goods.texts[2] not in response.content.decode()
        assert b"<html" in whole.content
        assert b"<html" not in part.content
        assert reveals(paid.number) == [("BUYER", "shown to the buyer")] * 4

    def test_can_be_taken_as_a_file(self, stall: Stall, paid: Any) -> None:
        response = stall.visitor().post(path_of(paid, "codes.txt"))

        assert response["Content-Type"] == "text/plain; charset=utf-8"
        assert response["Content-Disposition"] == f'attachment; filename="{paid.number}.txt"'
        assert "\r\n".join(stall.goods.texts[:2]) in response.content.decode()
        assert reveals(paid.number) == [("BUYER", "downloaded by the buyer")] * 2

    @pytest.mark.parametrize("deed", ["codes/", "codes.txt"])
    def test_are_not_shown_before_the_money_is_there(self, stall: Stall, deed: str) -> None:
        placed = stall.place()

        response = stall.visitor().post(path_of(placed, deed))

        assert stall.goods.texts[0] not in response.content.decode()
        assert reveals(placed.number) == []

    @pytest.mark.parametrize("deed", ["codes/", "codes.txt", "cancel/", "pay/begin/"])
    def test_are_not_given_to_a_get(self, stall: Stall, paid: Any, deed: str) -> None:
        assert stall.visitor().get(path_of(paid, deed)).status_code == 405

    def test_a_persons_note_is_shown_as_text(self, make_stall: Any) -> None:
        stall = make_stall(codes=0, delivery="MANUAL")
        placed = stall.place()
        stall.pay(placed)
        with in_substation(stall.shop):
            line = OrderLine.objects.get()
            orders.deliver_by_hand(
                line_id=line.pk, note="User: <b>ann</b>\nPass: x", by=market.CLERK, now=clock.utc_now()
            )

        page = stall.visitor().get(path_of(placed)).content.decode()

        assert "User: &lt;b&gt;ann&lt;/b&gt;\nPass: x" in page
        assert "Clerk" not in page


class TestFind:
    @pytest.fixture(autouse=True)
    def no_tries_yet(self, stall: Stall) -> None:
        with pointed_at(stall.shop):
            cache.clear()

    def test_opens_the_order_by_number_and_password_however_they_are_typed(self, stall: Stall, paid: Any) -> None:
        visitor = stall.visitor()
        typed = f" {paid.number[:5].lower()}-{paid.number[5:]} "

        response = visitor.post("/find/", {"number": typed, "secret": paid.lookup_secret.lower()})

        assert response.status_code == 302
        assert "Here it is" in words(visitor.get(response["Location"]))

    def test_answers_alike_to_an_unknown_number_and_a_wrong_password(self, stall: Stall, paid: Any) -> None:
        def asked(number: str, secret: str) -> str:
            response = stall.visitor().post("/find/", {"number": number, "secret": secret})
            assert response.status_code == 404
            return re.sub(re.escape(number) + "|" + re.escape(secret), "", words(response))

        assert asked(paid.number, "wrong password") == asked("K0000000000000A", paid.lookup_secret)

    @pytest.mark.parametrize("secret", ["ann@example.com", "", "Ann"])
    def test_opens_nothing_for_the_contact(self, stall: Stall, paid: Any, secret: str) -> None:
        response = stall.visitor().post("/find/", {"number": paid.number, "secret": secret})

        assert response.status_code in (404, 422)

    def test_does_not_find_another_shops_order(self, paid: Any, make_stall: Any) -> None:
        response = make_stall().visitor().post("/find/", {"number": paid.number, "secret": paid.lookup_secret})

        assert response.status_code == 404

    def test_ends_guessing_after_a_few_tries_even_for_the_right_password(self, stall: Stall, paid: Any) -> None:
        visitor = stall.visitor()
        for n in range(limits.PER_ADDRESS_AND_NUMBER):
            assert visitor.post("/find/", {"number": paid.number, "secret": f"guess {n}"}).status_code == 404

        response = visitor.post("/find/", {"number": paid.number, "secret": paid.lookup_secret})

        assert response.status_code == 429
        assert response["Retry-After"] == "600"
        assert "Please wait ten minutes" in words(response)

    def test_ends_a_search_over_many_numbers(self, stall: Stall) -> None:
        visitor = stall.visitor()
        answers = [
            visitor.post("/find/", {"number": f"K{n}", "secret": "whatever"}).status_code
            for n in range(limits.PER_ADDRESS + 2)
        ]

        assert answers == [404] * limits.PER_ADDRESS + [429] * 2

    def test_takes_anything_for_a_number(self, stall: Stall) -> None:
        for number in ("\x00", "'", "Ⅸ", "K" * 60, "😀"):
            assert stall.visitor().post("/find/", {"number": number, "secret": "😀\x00" + "x" * 9}).status_code in (
                404,
                422,
            )

    def test_leaves_the_orders_as_they_were(self, stall: Stall, paid: Any) -> None:
        before = stall.counts()

        stall.visitor().post("/find/", {"number": paid.number, "secret": "wrong one"})

        assert stall.counts() == before
        with in_substation(stall.shop):
            assert Order.objects.get(number=paid.number).state == "DELIVERED"


def words_of(response: Any) -> str:
    return words(response) if b"<body" in response.content else response.content.decode()
