"""What is Stripe's own: sessions and their rules, methods that settle later, disputes, fees in another currency."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import stripe

from kameng.lib.errors import ProviderError
from tenant_apps.payments.providers.base import (
    BillKind,
    ChannelRefused,
    ChannelState,
    ChannelStatus,
    FactKind,
    RefundStatus,
    StaleCallback,
    WrongAccount,
)
from tenant_apps.payments.providers.stripe.adapter import StripeAdapter
from tests.fakes.stripe import Fault, Merchant
from tests.fakes.stripe.hurry import Hurried

from .conftest import NOW, Bench, a_request


@pytest.fixture
def bench(stripe_bench: Bench) -> Bench:
    return stripe_bench


@pytest.fixture
def merchant(bench: Bench) -> Merchant:
    """Alice's account, from the inside."""
    found: Merchant = bench.server.merchant("sk_test_alice")
    return found


def create(bench: Bench, **changes: Any) -> str:
    return bench.adapter.create(account=bench.alice, request=a_request(**changes)).channel_ref


def query(bench: Bench, ref: str, payment_id: str = "pay_1") -> ChannelState:
    return bench.adapter.query(account=bench.alice, payment_id=payment_id, channel_ref=ref)


def refund(bench: Bench, ref: str, refund_id: str, amount: int = 100) -> str:
    """Ask for a refund; Stripe's id."""
    return bench.adapter.refund(
        account=bench.alice, payment_id="pay_1", channel_ref=ref, refund_id=refund_id, amount_minor=amount,
        currency="CNY", reason="wrong region",
    ).channel_refund_ref  # fmt: skip


def money(state: ChannelState) -> list[tuple[FactKind, int, int | None]]:
    return [(fact.kind, fact.amount_minor, fact.fee_minor) for fact in state.facts]


class TestSession:
    def test_carries_our_labels_to_every_object(self, bench: Bench, merchant: Merchant) -> None:
        ref = create(bench)
        merchant.pay(ref)

        labels = {"substation": "s_0000001", "order": "ORD-1", "payment": "pay_1"}
        session = merchant.sessions[ref]
        (charge,) = merchant.charges.values()
        assert (session["mode"], session["client_reference_id"]) == ("payment", "pay_1")
        assert session["metadata"] == charge["metadata"] == labels
        assert session["payment_method_options"] == {"wechat_pay": {"client": "web"}}
        assert (session["amount_total"], session["currency"]) == (1999, "cny")
        assert merchant.items[ref][0]["description"] == "Steam 充值卡 20 美元"

    def test_leaves_the_methods_to_the_account_and_uses_our_id_as_key(self, bench: Bench, merchant: Merchant) -> None:
        create(bench)

        (asked,) = (json.loads(asked) for asked, _, _ in merchant.replays.values())
        assert "payment_method_types" not in asked[1]
        assert list(merchant.replays) == ["pay_1"]

    @pytest.mark.parametrize(
        ("asked", "promised"),
        [
            (timedelta(minutes=15), timedelta(minutes=35)),
            (timedelta(minutes=45), timedelta(minutes=45)),
            (timedelta(days=3), timedelta(hours=23, minutes=50)),
        ],
    )
    def test_lives_between_half_an_hour_and_a_day(self, bench: Bench, asked: timedelta, promised: timedelta) -> None:
        created = bench.adapter.create(account=bench.alice, request=a_request(expires_at=NOW + asked))

        assert created.expires_at == NOW + promised

    def test_touches_no_global_of_the_sdk(self, bench: Bench) -> None:
        before = (stripe.api_key, stripe.api_base, stripe.default_http_client, stripe.max_network_retries)

        create(bench)

        assert (stripe.api_key, stripe.api_base, stripe.default_http_client, stripe.max_network_retries) == before
        assert stripe.api_key is None


class TestMethodsThatSettleLater:
    def test_are_pending_until_the_money_is_there(self, bench: Bench, merchant: Merchant) -> None:
        ref = create(bench)
        merchant.pay_later(ref)
        waiting = query(bench, ref)

        merchant.settle(ref)
        settled = query(bench, ref)

        assert (waiting.status, waiting.facts) == (ChannelStatus.PENDING, ())
        assert (settled.status, money(settled)) == (ChannelStatus.PAID, [(FactKind.PAID, 1999, 88)])

    def test_can_fail_after_the_buyer_has_gone(self, bench: Bench, merchant: Merchant) -> None:
        ref = create(bench)
        merchant.pay_later(ref)

        merchant.fail(ref)

        assert (query(bench, ref).status, query(bench, ref).facts) == (ChannelStatus.FAILED, ())

    def test_keep_a_session_pending_that_expired_meanwhile(self, bench: Bench, merchant: Merchant) -> None:
        ref = create(bench)
        merchant.pay_later(ref)
        merchant.sessions[ref]["status"] = "expired"

        assert query(bench, ref).status is ChannelStatus.PENDING


class TestWebhooks:
    def test_of_every_kind_lead_to_the_payment(self, bench: Bench, merchant: Merchant) -> None:
        paid, failed, expired = (create(bench, payment_id=f"pay_{number}") for number in range(3))
        merchant.pay(paid)
        refund(bench, paid, "rfd_1")
        merchant.close_dispute(merchant.dispute(paid)["id"], won=True)
        merchant.pay_later(failed)
        merchant.fail(failed)
        merchant.expire_session(expired)
        hooks = bench.server.webhooks("sk_test_alice")

        found: dict[str, set[str]] = {}
        for event in hooks.pending():
            headers, body = hooks.signed(event)
            told = bench.adapter.verify_callback(account=bench.alice, headers=headers, body=body, now=NOW)
            assert told.channel_ref is not None
            state = bench.adapter.query(
                account=bench.alice, payment_id=told.payment_id or "", channel_ref=told.channel_ref
            )
            found.setdefault(told.type, set()).add(state.payment_id)

        assert found == {
            "checkout.session.completed": {"pay_0", "pay_1"},
            "checkout.session.async_payment_failed": {"pay_1"},
            "checkout.session.expired": {"pay_2"},
            "charge.refunded": {"pay_0"},
            "refund.created": {"pay_0"},
            "refund.updated": {"pay_0"},
            "charge.dispute.created": {"pay_0"},
            "charge.dispute.closed": {"pay_0"},
        }

    def test_about_the_merchants_other_business_name_no_payment(self, bench: Bench) -> None:
        item: dict[str, Any] = {"object": "charge", "id": "ch_1", "payment_intent": None, "metadata": {}}
        event = {"object": "event", "id": "evt_1", "type": "charge.succeeded", "created": int(NOW.timestamp()),
                 "livemode": False, "data": {"object": item}}  # fmt: skip
        body = json.dumps(event).encode()

        told = bench.adapter.verify_callback(account=bench.alice, headers=bench.sign(body, NOW), body=body, now=NOW)

        assert (told.payment_id, told.channel_ref) == (None, None)

    def test_of_live_mode_are_not_for_a_test_account(self, bench: Bench, merchant: Merchant) -> None:
        merchant.pay(create(bench))
        (event,) = merchant.events.values()
        body = json.dumps({**event, "livemode": True}).encode()

        with pytest.raises(WrongAccount):
            bench.adapter.verify_callback(account=bench.alice, headers=bench.sign(body, NOW), body=body, now=NOW)

    def test_take_a_second_signature_while_a_secret_is_rolled(self, bench: Bench, merchant: Merchant) -> None:
        merchant.pay(create(bench))
        (event,) = merchant.events.values()
        headers, body = bench.server.webhooks("sk_test_alice").signed(event)
        stamp, _, signature = headers["Stripe-Signature"].partition(",")
        both = {"Stripe-Signature": f"{stamp},v1={'0' * 64},{signature},v0=old"}

        assert (
            bench.adapter.verify_callback(account=bench.alice, headers=both, body=body, now=NOW).payment_id == "pay_1"
        )

    def test_with_two_times_are_judged_by_the_one_that_was_signed(self, bench: Bench, merchant: Merchant) -> None:
        merchant.pay(create(bench))
        (event,) = merchant.events.values()
        old = NOW - timedelta(days=30)
        headers, body = bench.server.webhooks("sk_test_alice").signed(event, at=old.timestamp())
        refreshed = {"Stripe-Signature": f"{headers['Stripe-Signature']},t={int(NOW.timestamp())}"}

        with pytest.raises(StaleCallback):
            bench.adapter.verify_callback(account=bench.alice, headers=refreshed, body=body, now=NOW)


class TestDisputes:
    def test_take_the_money_and_a_fee(self, bench: Bench, merchant: Merchant) -> None:
        ref = create(bench)
        merchant.pay(ref)

        merchant.dispute(ref)

        assert money(query(bench, ref)) == [(FactKind.PAID, 1999, 88), (FactKind.DISPUTED, 1999, 1500)]

    @pytest.mark.parametrize(("won", "back"), [(True, 1999), (False, 0)])
    def test_end_with_what_came_back(self, bench: Bench, merchant: Merchant, won: bool, back: int) -> None:
        ref = create(bench)
        merchant.pay(ref)
        dispute = merchant.dispute(ref)

        merchant.close_dispute(dispute["id"], won=won)

        closed = query(bench, ref).facts[-1]
        assert (closed.kind, closed.amount_minor, closed.detail) == (
            FactKind.DISPUTE_CLOSED, back, "won" if won else "lost",
        )  # fmt: skip
        assert closed.channel_fact_id == f"{dispute['id']}:closed"

    def test_that_are_only_inquiries_move_nothing(self, bench: Bench, merchant: Merchant) -> None:
        ref = create(bench)
        merchant.pay(ref)
        merchant.disputes[merchant.dispute(ref)["id"]]["status"] = "warning_needs_response"

        assert money(query(bench, ref)) == [(FactKind.PAID, 1999, 88)]

    def test_stand_in_the_bill_under_the_ids_of_their_facts(self, bench: Bench, merchant: Merchant) -> None:
        ref = create(bench)
        merchant.pay(ref)
        merchant.close_dispute(merchant.dispute(ref)["id"], won=True)

        lines = list(bench.adapter.bill(account=bench.alice, day=NOW.date()))

        assert {line.channel_fact_id for line in lines} == {fact.channel_fact_id for fact in query(bench, ref).facts}
        assert [(line.amount_minor, line.fee_minor) for line in lines if line.kind is BillKind.DISPUTE] == [
            (1999, 0),
            (-1999, 1500),
        ]


class TestRefunds:
    def test_that_came_back_are_two_facts(self, bench: Bench, merchant: Merchant) -> None:
        ref = create(bench)
        merchant.pay(ref)
        refund_ref = refund(bench, ref, "rfd_1", 700)

        merchant.return_refund(refund_ref)

        facts = query(bench, ref).facts
        assert [(fact.kind, fact.amount_minor, fact.refund_id) for fact in facts[1:]] == [
            (FactKind.REFUNDED, 700, "rfd_1"),
            (FactKind.REFUND_FAILED, 700, "rfd_1"),
        ]
        asked = bench.adapter.query_refund(account=bench.alice, payment_id="pay_1", channel_ref=ref, refund_id="rfd_1")
        assert asked.status is RefundStatus.FAILED

    def test_on_their_way_are_no_fact_yet(self, bench: Bench, merchant: Merchant) -> None:
        ref = create(bench)
        merchant.pay(ref)
        merchant.refunds[refund(bench, ref, "rfd_1")]["status"] = "pending"

        assert money(query(bench, ref)) == [(FactKind.PAID, 1999, 88)]

    def test_happen_once_though_stripe_forgot_the_key(self, bench: Bench, merchant: Merchant) -> None:
        ref = create(bench)
        merchant.pay(ref)
        first = refund(bench, ref, "rfd_1")
        merchant.replays.clear()

        assert refund(bench, ref, "rfd_1") == first
        assert len(merchant.refunds) == 1

    def test_are_all_seen_when_there_are_many(self, bench: Bench, merchant: Merchant) -> None:
        ref = create(bench)
        merchant.pay(ref)
        for number in range(13):
            refund(bench, ref, f"rfd_{number}")

        facts = query(bench, ref).facts

        assert {fact.refund_id for fact in facts if fact.kind is FactKind.REFUNDED} == {f"rfd_{n}" for n in range(13)}

    def test_need_a_payment(self, bench: Bench) -> None:
        ref = create(bench)

        with pytest.raises(ChannelRefused) as refusal:
            refund(bench, ref, "rfd_1")

        assert refusal.value.code == "not_found"


class TestFees:
    def test_are_not_told_in_another_currency_than_the_payments(self, bench: Bench, merchant: Merchant) -> None:
        merchant.settles_in, merchant.rate = "usd", Decimal("0.14")
        ref = create(bench)
        merchant.pay(ref)

        assert money(query(bench, ref)) == [(FactKind.PAID, 1999, None)]
        (line,) = bench.adapter.bill(account=bench.alice, day=NOW.date())
        assert (line.currency, line.amount_minor, line.fee_minor, line.net_minor) == ("USD", 280, 12, 268)

    def test_are_not_told_before_stripe_knows_them(self, bench: Bench, merchant: Merchant) -> None:
        ref = create(bench)
        merchant.pay(ref)
        next(iter(merchant.charges.values()))["balance_transaction"] = None

        assert money(query(bench, ref)) == [(FactKind.PAID, 1999, None)]


class TestUnanswered:
    """The request that was carried out and never answered: the case that costs money."""

    @pytest.fixture
    def hurried(self, bench: Bench) -> StripeAdapter:
        made = StripeAdapter(clock=lambda: NOW)
        made._transport = Hurried(bench.server)
        return made

    def test_a_create_is_found_by_asking(self, bench: Bench, merchant: Merchant, hurried: StripeAdapter) -> None:
        bench.server.fail_next("POST /v1/checkout/sessions", Fault.SILENT_AFTER)
        with pytest.raises(ProviderError) as failure:
            hurried.create(account=bench.alice, request=a_request())

        state = bench.adapter.query(account=bench.alice, payment_id="pay_1", sent_at=NOW)

        assert (failure.value.unknown, failure.value.retryable) == (True, False)
        assert (state.status, [state.channel_ref]) == (ChannelStatus.PENDING, list(merchant.sessions))
        assert create(bench) == state.channel_ref

    def test_a_create_that_never_arrived_is_not_found(self, bench: Bench, hurried: StripeAdapter) -> None:
        bench.server.fail_next("POST /v1/checkout/sessions", Fault.SILENT_BEFORE)
        with pytest.raises(ProviderError):
            hurried.create(account=bench.alice, request=a_request())

        state = bench.adapter.query(account=bench.alice, payment_id="pay_1", sent_at=NOW)

        assert state.status is ChannelStatus.NOT_FOUND

    def test_a_refund_is_found_by_asking(self, bench: Bench, merchant: Merchant, hurried: StripeAdapter) -> None:
        ref = create(bench)
        merchant.pay(ref)
        bench.server.fail_next("POST /v1/refunds", Fault.SILENT_AFTER)
        with pytest.raises(ProviderError) as failure:
            hurried.refund(
                account=bench.alice, payment_id="pay_1", channel_ref=ref, refund_id="rfd_1", amount_minor=1999,
                currency="CNY", reason="",
            )  # fmt: skip

        found = bench.adapter.query_refund(account=bench.alice, payment_id="pay_1", channel_ref=ref, refund_id="rfd_1")

        assert failure.value.unknown is True
        assert (found.status, found.amount_minor) == (RefundStatus.SUCCEEDED, 1999)
        assert refund(bench, ref, "rfd_1", 1999) == found.channel_refund_ref

    @pytest.mark.parametrize(
        ("fault", "unknown", "retryable"),
        [(Fault.BROKEN, True, False), (Fault.KEY_IN_USE, True, False), (Fault.RATE_LIMITED, False, True)],
    )
    def test_is_sent_once_and_sorted(self, bench: Bench, fault: Fault, unknown: bool, retryable: bool) -> None:
        bench.server.fail_next("POST /v1/checkout/sessions", fault)

        with pytest.raises(ProviderError) as failure:
            create(bench)

        assert (failure.value.unknown, failure.value.retryable) == (unknown, retryable)
        assert [path for method, path, _ in bench.server.requests if method == "POST"] == ["/v1/checkout/sessions"]


class TestSearching:
    def test_looks_only_around_the_time_of_sending(self, bench: Bench) -> None:
        create(bench)

        def status(sent_at: datetime) -> ChannelStatus:
            return bench.adapter.query(account=bench.alice, payment_id="pay_1", sent_at=sent_at).status

        assert status(NOW - timedelta(minutes=30)) is ChannelStatus.PENDING
        assert status(NOW - timedelta(minutes=31)) is ChannelStatus.NOT_FOUND
        assert status(NOW + timedelta(minutes=6)) is ChannelStatus.NOT_FOUND

    def test_reads_through_every_page(self, bench: Bench) -> None:
        ref = create(bench)
        for number in range(120):
            create(bench, payment_id=f"pay_other{number}")

        state = bench.adapter.query(account=bench.alice, payment_id="pay_1", sent_at=NOW)

        assert state.channel_ref == ref

    def test_needs_something_to_look_for(self, bench: Bench) -> None:
        with pytest.raises(ValueError, match="needs"):
            bench.adapter.query(account=bench.alice, payment_id="")
