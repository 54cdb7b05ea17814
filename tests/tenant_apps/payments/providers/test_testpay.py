"""What is the test channel's own: money that is short, doubled or late, told as it came."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kameng.testpay.channel import Action
from tenant_apps.payments.providers.base import ChannelRefused, ChannelState, ChannelStatus, FactKind
from tenant_apps.payments.providers.testpay.adapter import TestpayAdapter

from .conftest import LIMITS, NOW, Bench, a_request


@pytest.fixture
def bench(testpay_bench: Bench) -> Bench:
    return testpay_bench


def after(bench: Bench, action: Action) -> ChannelState:
    """The state of a payment once its buyer did something."""
    ref = bench.adapter.create(account=bench.alice, request=a_request()).channel_ref
    bench.server.app.channel.act(ref, action, method="wechat")
    return bench.adapter.query(account=bench.alice, payment_id="pay_1")


class TestFacts:
    @pytest.mark.parametrize(
        ("action", "amounts"),
        [(Action.PAY, [1999]), (Action.SHORT, [999]), (Action.OVER, [2198]), (Action.TWICE, [1999, 1999])],
    )
    def test_tell_each_payment_of_money(self, bench: Bench, action: Action, amounts: list[int]) -> None:
        state = after(bench, action)

        assert state.status is ChannelStatus.PAID
        assert [(fact.kind, fact.amount_minor) for fact in state.facts] == [(FactKind.PAID, n) for n in amounts]
        assert len({fact.channel_fact_id for fact in state.facts}) == len(amounts)
        assert {fact.detail for fact in state.facts} == {"wechat"}

    @pytest.mark.parametrize("action", [Action.FAIL, Action.CANCEL])
    def test_are_none_when_the_buyer_gave_up(self, bench: Bench, action: Action) -> None:
        state = after(bench, action)

        assert (state.status, state.facts) == (ChannelStatus.FAILED, ())

    def test_come_late_after_the_payment_was_closed(self, bench: Bench) -> None:
        ref = bench.adapter.create(account=bench.alice, request=a_request()).channel_ref
        bench.adapter.close(account=bench.alice, payment_id="pay_1", channel_ref=ref)

        bench.server.app.channel.act(ref, Action.LATE)

        state = bench.adapter.query(account=bench.alice, payment_id="pay_1", channel_ref=ref)
        assert (state.status, [fact.amount_minor for fact in state.facts]) == (ChannelStatus.PAID, [1999])


class TestReply:
    def test_is_the_constant_that_ends_the_calling(self, bench: Bench) -> None:
        headers, body = bench.callback(after(bench, Action.PAY).channel_ref)
        event = bench.adapter.verify_callback(account=bench.alice, headers=headers, body=body, now=NOW)

        reply = bench.adapter.acknowledge(event=event)

        assert (reply.status, reply.content_type, reply.body) == (200, "text/plain; charset=utf-8", b"success")


class TestClock:
    def test_that_is_wrong_is_named(self, bench: Bench) -> None:
        adapter = TestpayAdapter(limits=LIMITS, clock=lambda: NOW - timedelta(minutes=5))

        with pytest.raises(ChannelRefused) as refusal:
            adapter.create(account=bench.alice, request=a_request())

        assert refusal.value.code == "clock"


class TestReferences:
    @pytest.mark.parametrize("ref", ["../../control/payments", "tp_x?payment_id=pay_1", "tp_0/close"])
    def test_can_not_lead_to_another_address(self, bench: Bench, ref: str) -> None:
        bench.adapter.create(account=bench.alice, request=a_request())

        with pytest.raises(ChannelRefused) as refusal:
            bench.adapter.query(account=bench.alice, payment_id="pay_1", channel_ref=ref)

        assert refusal.value.code == "no_such_address"
