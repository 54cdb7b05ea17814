"""Callbacks: believed only when signed, stored before they are answered, handled once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.test import RequestFactory

from kameng.accounts.types import SYSTEM
from kameng.db.context import MAIN, in_main, in_substation, pointed_at
from kameng.lib import clock
from tenant_apps.orders.models import Order
from tenant_apps.payments import services as payments
from tenant_apps.payments.models import Payment
from tenant_apps.payments.providers.base import ChannelStatus
from tenant_apps.payments.views import CallbackView
from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel, callback, weather
from tests.tenant_apps.market import NOW, announce, place

Sell = Callable[..., market.Goods]


@pytest.fixture
def begun(shop: Any, account: Any, sell: Sell, channel: MemoryChannel) -> tuple[Any, str]:
    """A placed order and its announced payment."""
    goods = sell(codes=2)
    with in_substation(shop):
        placed = place(goods)
        return placed, announce(placed, account)


@pytest.fixture(autouse=True)
def _frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "utc_now", lambda: NOW)


def call(account: Any, body: bytes, signature: str, *, public_id: str = "", channel: str = "testpay") -> Any:
    request = RequestFactory().post(
        "/hooks/", data=body, content_type="application/json", headers={"X-Testpay-Signature": signature}
    )
    with pointed_at(MAIN):
        return CallbackView.as_view()(request, channel=channel, account=public_id or account.public_id)


def stored(payment: str) -> list[tuple[Any, ...]]:
    return market.rows("SELECT id, state, attempts FROM receipts_inboxevent WHERE payment_id = %s ORDER BY id", payment)


class TestCallback:
    def test_is_stored_and_then_acknowledged(self, account: Any, begun: tuple[Any, str]) -> None:
        body, signature = callback(account, "s3cret", begun[1], at=NOW)

        answer = call(account, body, signature)

        assert (answer.status_code, answer.content) == (200, b"success")
        [(event_id, state, _)] = stored(begun[1])
        assert state == "RECEIVED"
        jobs = market.rows("SELECT kind FROM jobs_job WHERE payload->>'event_id' = %s", str(event_id))
        assert jobs == [("payments.handle_event",)]

    def test_a_duplicate_is_answered_like_the_first(self, account: Any, begun: tuple[Any, str]) -> None:
        body, signature = callback(account, "s3cret", begun[1], at=NOW)

        answers = [call(account, body, signature) for _ in range(3)]

        assert {(answer.status_code, answer.content) for answer in answers} == {(200, b"success")}
        assert len(stored(begun[1])) == 1

    @pytest.mark.parametrize(
        ("secret", "age_s", "code"),
        [
            ("wrong", 0, b"callback_bad_signature\n"),
            ("s3cret", 301, b"callback_stale\n"),
            ("s3cret", -301, b"callback_stale\n"),
        ],
    )
    def test_is_refused_when_it_is_not_to_be_believed(
        self, account: Any, begun: tuple[Any, str], secret: str, age_s: int, code: bytes
    ) -> None:
        body, signature = callback(account, secret, begun[1], at=NOW, age_s=age_s)
        before = market.network_counts()

        answer = call(account, body, signature)

        assert (answer.status_code, answer.content) == (400, code)
        assert market.network_counts() == before

    def test_is_refused_with_changed_bytes(self, account: Any, begun: tuple[Any, str]) -> None:
        body, signature = callback(account, "s3cret", begun[1], at=NOW)

        assert call(account, body.replace(b"paid", b"diap"), signature).status_code == 400
        assert stored(begun[1]) == []

    def test_of_another_account_is_refused(self, account: Any, begun: tuple[Any, str]) -> None:
        with in_main():
            other = market.ensure_account()
        body, signature = callback(account, "s3cret", begun[1], at=NOW)

        answer = call(other, body, signature)

        assert (answer.status_code, answer.content) == (400, b"callback_wrong_account\n")

    def test_for_no_account_of_ours_is_not_found(self, account: Any, begun: tuple[Any, str]) -> None:
        body, signature = callback(account, "s3cret", begun[1], at=NOW)

        assert call(account, body, signature, public_id="acc_NONE").status_code == 404
        assert call(account, body, signature, channel="stripe").status_code == 404

    def test_too_large_is_refused_unread(self, account: Any) -> None:
        assert call(account, b"x" * (payments.MAX_BODY + 1), "t=1,v1=0").status_code == 413

    def test_is_never_acknowledged_when_it_could_not_be_stored(
        self, account: Any, begun: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(**_: Any) -> None:
            raise RuntimeError("disk full")

        monkeypatch.setattr("shared_apps.receipts.services._inbox.enqueue", broken)
        body, signature = callback(account, "s3cret", begun[1], at=NOW)

        with pytest.raises(RuntimeError):
            call(account, body, signature)
        assert stored(begun[1]) == []


class TestHandleEvent:
    def _event(self, account: Any, payment: str, event_id: str = "") -> int:
        body, signature = callback(account, "s3cret", payment, at=NOW, event_id=event_id)
        call(account, body, signature)
        return int(stored(payment)[-1][0])

    def test_counts_what_the_channel_says_not_what_the_callback_said(
        self, shop: Any, account: Any, begun: tuple[Any, str], channel: MemoryChannel
    ) -> None:
        """Signed "paid", but asked again the channel knows of no money."""
        placed, payment = begun
        channel.payments[payment] = []

        assert payments.handle_event(event_id=self._event(account, payment), now=NOW) == "IGNORED"

        with in_substation(shop):
            assert Order.objects.get(number=placed.number).state == "PENDING_PAYMENT"

    def test_settles_the_order_once(
        self, shop: Any, account: Any, begun: tuple[Any, str], channel: MemoryChannel
    ) -> None:
        placed, payment = begun
        channel.pays(payment, 1140, at=NOW)
        first, second = self._event(account, payment, "e1"), self._event(account, payment, "e2")

        states = [payments.handle_event(event_id=event, now=NOW) for event in (second, first, first, second)]

        assert states == ["HANDLED"] * 4
        assert market.legs(placed.number)["channel:testpay:clearing"] == 1140
        with in_substation(shop):
            assert Order.objects.get(number=placed.number).state == "DELIVERED"

    def test_a_failure_is_noted_and_tried_again_later(
        self, account: Any, begun: tuple[Any, str], channel: MemoryChannel
    ) -> None:
        placed, payment = begun
        channel.pays(payment, 1140, at=NOW)
        channel.fails["query"] = weather()
        event = self._event(account, payment)

        assert payments.handle_event(event_id=event, now=NOW) == "RECEIVED"
        [(attempts, problem, try_at)] = market.rows(
            "SELECT attempts, problem, try_at FROM receipts_inboxevent WHERE id = %s", event
        )
        assert (attempts, problem) == (1, "ProviderError: refused connection")
        assert (try_at - NOW).total_seconds() == 5

        payments.handle_waiting(now=try_at)
        assert stored(payment)[0][1:] == ("HANDLED", 1)
        assert market.legs(placed.number)["channel:testpay:clearing"] == 1140

    def test_gives_up_in_the_open_and_can_be_replayed(
        self, account: Any, begun: tuple[Any, str], channel: MemoryChannel
    ) -> None:
        placed, payment = begun
        channel.pays(payment, 1140, at=NOW)
        event = self._event(account, payment)
        for _ in range(12):
            channel.fails["query"] = weather()
            payments.handle_event(event_id=event, now=NOW)
        assert stored(payment)[0][1:] == ("FAILED", 12)

        with in_main():
            payments.replay_event(event_id=event, by=SYSTEM, now=NOW)
        payments.handle_event(event_id=event, now=NOW)

        assert stored(payment)[0][1:] == ("HANDLED", 0)
        assert market.legs(placed.number)["channel:testpay:clearing"] == 1140

    @pytest.mark.parametrize(("told", "state"), [(ChannelStatus.FAILED, "FAILED"), (ChannelStatus.EXPIRED, "EXPIRED")])
    def test_notes_an_attempt_that_ended_without_money(
        self, shop: Any, account: Any, begun: tuple[Any, str], channel: MemoryChannel, told: ChannelStatus, state: str
    ) -> None:
        _placed, payment = begun
        channel.payments[payment], channel.statuses[payment] = [], told

        payments.handle_event(event_id=self._event(account, payment), now=NOW)

        with in_substation(shop):
            assert Payment.objects.get(public_id=payment).state == state


class TestJanitor:
    def test_asks_at_five_minutes_an_hour_and_then_daily(
        self, account: Any, begun: tuple[Any, str], channel: MemoryChannel
    ) -> None:
        channel.payments[begun[1]] = []
        asked_at = [self._ask_at(begun[1])]
        for _ in range(4):
            payments.ask_about_unknown(now=asked_at[-1])
            asked_at.append(self._ask_at(begun[1]))

        assert [(at - NOW).total_seconds() / 60 for at in asked_at] == [5, 65, 65 + 1440, 65 + 2 * 1440, 65 + 3 * 1440]

    def test_finds_money_whose_callback_never_came(
        self, shop: Any, begun: tuple[Any, str], channel: MemoryChannel
    ) -> None:
        placed, payment = begun
        channel.pays(payment, 1140, at=NOW)

        payments.ask_about_unknown(now=self._ask_at(payment))

        with in_substation(shop):
            assert Order.objects.get(number=placed.number).state == "DELIVERED"
        assert self._ask_at(payment) is None

    def test_goes_on_asking_when_the_channel_is_away(self, begun: tuple[Any, str], channel: MemoryChannel) -> None:
        first = self._ask_at(begun[1])
        channel.fails["query"] = weather()

        payments.ask_about_unknown(now=first)

        assert self._ask_at(begun[1]) > first

    def _ask_at(self, payment: str) -> datetime:
        at: datetime = market.rows("SELECT ask_at FROM receipts_announced WHERE payment_id = %s", payment)[0][0]
        return at
