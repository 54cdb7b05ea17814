"""What every channel's adapter owes, tried on each of them against its real server."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta

import pytest

from kameng.lib.errors import Missing
from tenant_apps.payments import providers
from tenant_apps.payments.providers.base import (
    BadSignature,
    BillKind,
    CallbackRefused,
    ChannelRefused,
    ChannelStatus,
    FactKind,
    Malformed,
    RefundStatus,
    StaleCallback,
    WrongAccount,
)

from .conftest import NOW, Bench, a_request

FEES = {"stripe": 88, "testpay": 12}  # 2.9 % + 30, and 0.6 %, of 1999, rounded half up.


def paid(bench: Bench, payment_id: str = "pay_1", amount_minor: int = 1999) -> str:
    """A payment that its buyer has made; the channel's reference."""
    request = a_request(payment_id, amount_minor=amount_minor)
    ref = bench.adapter.create(account=bench.alice, request=request).channel_ref
    bench.pay(ref)
    return ref


def refund(bench: Bench, ref: str, refund_id: str, amount_minor: int) -> str:
    """Ask for a refund; the status."""
    return bench.adapter.refund(
        account=bench.alice, payment_id="pay_1", channel_ref=ref, refund_id=refund_id, amount_minor=amount_minor,
        currency="CNY", reason="wrong region",
    ).status  # fmt: skip


class TestRegistry:
    def test_gives_the_adapter_of_each_name(self) -> None:
        assert [providers.get(name).name for name in providers.names()] == ["stripe", "testpay"]
        assert providers.get("stripe") is providers.get("stripe")

    def test_refuses_a_name_without_an_adapter(self) -> None:
        with pytest.raises(Missing):
            providers.get("paypal")


class TestCreate:
    def test_leads_the_buyer_to_the_channels_page(self, bench: Bench) -> None:
        created = bench.adapter.create(account=bench.alice, request=a_request())

        assert created.redirect_url.startswith(bench.alice.api_base)
        assert created.qr_text == created.redirect_url
        assert created.expires_at >= NOW + timedelta(minutes=15)

    def test_gives_the_same_payment_for_the_same_request(self, bench: Bench) -> None:
        first = bench.adapter.create(account=bench.alice, request=a_request())
        second = bench.adapter.create(account=bench.alice, request=a_request())

        assert second == first

    def test_refuses_the_same_id_for_another_request(self, bench: Bench) -> None:
        first = bench.adapter.create(account=bench.alice, request=a_request())

        with pytest.raises(ChannelRefused) as refusal:
            bench.adapter.create(account=bench.alice, request=a_request(amount_minor=2000))

        assert (refusal.value.code, refusal.value.retryable, refusal.value.unknown) == (
            "idempotency_conflict",
            False,
            False,
        )
        assert bench.adapter.create(account=bench.alice, request=a_request()) == first

    def test_keeps_two_accounts_apart(self, bench: Bench) -> None:
        alices = bench.adapter.create(account=bench.alice, request=a_request())
        bobs = bench.adapter.create(account=bench.bob, request=a_request(amount_minor=500))

        assert alices.channel_ref != bobs.channel_ref
        state = bench.adapter.query(account=bench.bob, payment_id="pay_1", channel_ref=alices.channel_ref)
        assert (state.status, state.facts) == (ChannelStatus.NOT_FOUND, ())

    def test_names_bad_credentials(self, bench: Bench) -> None:
        credentials = {"api_key": "pk_wrong", "webhook_secret": "x", "secret": "wrong"}
        account = dataclasses.replace(bench.alice, credentials=credentials)

        with pytest.raises(ChannelRefused) as refusal:
            bench.adapter.create(account=account, request=a_request())

        assert refusal.value.code == "credentials"

    @pytest.mark.parametrize("amount", [0, -1])
    def test_an_amount_that_is_not_positive_is_a_programmers_mistake(self, amount: int) -> None:
        with pytest.raises(ValueError, match="positive"):
            a_request(amount_minor=amount)


class TestQuery:
    def test_finds_nothing_where_nothing_was_made(self, bench: Bench) -> None:
        state = bench.adapter.query(account=bench.alice, payment_id="pay_never", sent_at=NOW)

        assert (state.status, state.facts) == (ChannelStatus.NOT_FOUND, ())

    def test_waits_for_the_buyer(self, bench: Bench) -> None:
        ref = bench.adapter.create(account=bench.alice, request=a_request()).channel_ref

        state = bench.adapter.query(account=bench.alice, payment_id="pay_1", channel_ref=ref)

        assert (state.status, state.facts, state.payment_id) == (ChannelStatus.PENDING, (), "pay_1")

    def test_tells_the_money_with_the_channels_fee(self, bench: Bench) -> None:
        ref = paid(bench)

        state = bench.adapter.query(account=bench.alice, payment_id="pay_1", channel_ref=ref)

        (fact,) = state.facts
        assert state.status is ChannelStatus.PAID
        assert (fact.kind, fact.amount_minor, fact.currency) == (FactKind.PAID, 1999, "CNY")
        assert (fact.fee_minor, fact.occurred_at) == (FEES[bench.name], NOW)
        assert (fact.payment_id, fact.channel_ref) == ("pay_1", ref)

    @pytest.mark.parametrize("sent_at", [NOW, None])
    def test_finds_a_payment_by_our_id_alone(self, bench: Bench, sent_at: object) -> None:
        for number in range(3):
            bench.adapter.create(account=bench.alice, request=a_request(f"pay_other{number}"))
        ref = paid(bench)

        state = bench.adapter.query(account=bench.alice, payment_id="pay_1", sent_at=NOW if sent_at else None)

        assert (state.status, state.channel_ref) == (ChannelStatus.PAID, ref)


class TestClose:
    def test_collects_no_more(self, bench: Bench) -> None:
        ref = bench.adapter.create(account=bench.alice, request=a_request()).channel_ref

        state = bench.adapter.close(account=bench.alice, payment_id="pay_1", channel_ref=ref)

        assert state.status in (ChannelStatus.EXPIRED, ChannelStatus.FAILED)
        assert bench.adapter.close(account=bench.alice, payment_id="pay_1", channel_ref=ref) == state

    def test_says_paid_when_the_buyer_was_faster(self, bench: Bench) -> None:
        ref = paid(bench)

        assert (
            bench.adapter.close(account=bench.alice, payment_id="pay_1", channel_ref=ref).status is ChannelStatus.PAID
        )


class TestCallback:
    def test_is_read_once_it_is_verified(self, bench: Bench) -> None:
        ref = paid(bench)
        headers, body = bench.callback(ref)

        event = bench.adapter.verify_callback(account=bench.alice, headers=headers, body=body, now=NOW)

        assert (event.payment_id, event.channel_ref) == ("pay_1", ref)
        assert (event.account_ref, event.created_at) == (bench.alice.account_ref, NOW)

    def test_reads_headers_without_regard_to_case(self, bench: Bench) -> None:
        headers, body = bench.callback(paid(bench))
        lower = {name.lower(): value for name, value in headers.items()}

        event = bench.adapter.verify_callback(account=bench.alice, headers=lower, body=body, now=NOW)

        assert event.payment_id == "pay_1"

    def test_that_comes_twice_is_the_same_event_with_the_same_reply(self, bench: Bench) -> None:
        headers, body = bench.callback(paid(bench))

        events = [bench.adapter.verify_callback(account=bench.alice, headers=headers, body=body, now=NOW) for _ in "12"]

        assert events[0].event_id == events[1].event_id
        assert bench.adapter.acknowledge(event=events[0]) == bench.adapter.acknowledge(event=events[1])
        assert bench.adapter.acknowledge(event=events[0]).status == 200

    def test_is_refused_when_one_byte_changed(self, bench: Bench) -> None:
        headers, body = bench.callback(paid(bench))

        with pytest.raises(BadSignature):
            bench.adapter.verify_callback(
                account=bench.alice, headers=headers, body=body.replace(b"1999", b"1998"), now=NOW
            )

    def test_is_refused_when_it_was_only_reformatted(self, bench: Bench) -> None:
        headers, body = bench.callback(paid(bench))
        compact = json.dumps(json.loads(body), separators=(",", ":")).encode()

        with pytest.raises(BadSignature):
            bench.adapter.verify_callback(account=bench.alice, headers=headers, body=compact, now=NOW)

    @pytest.mark.parametrize("value", ["", "nonsense", "t=1,v1=", "t=abc,v1=00", "v1=00"])
    def test_is_refused_without_a_proper_signature(self, bench: Bench, value: str) -> None:
        headers, body = bench.callback(paid(bench))
        (name,) = (key for key in headers if key.endswith("Signature"))

        with pytest.raises(BadSignature):
            bench.adapter.verify_callback(account=bench.alice, headers={name: value}, body=body, now=NOW)
        with pytest.raises(BadSignature):
            bench.adapter.verify_callback(account=bench.alice, headers={}, body=body, now=NOW)

    def test_is_refused_with_another_accounts_secret(self, bench: Bench) -> None:
        headers, body = bench.callback(paid(bench))

        with pytest.raises(BadSignature):
            bench.adapter.verify_callback(account=bench.bob, headers=headers, body=body, now=NOW)

    @pytest.mark.parametrize("age_s", [300, -300])
    def test_is_taken_up_to_the_tolerance(self, bench: Bench, age_s: int) -> None:
        headers, body = bench.callback(paid(bench))
        now = NOW + timedelta(seconds=age_s)

        assert (
            bench.adapter.verify_callback(account=bench.alice, headers=headers, body=body, now=now).payment_id
            == "pay_1"
        )

    @pytest.mark.parametrize("age_s", [301, 30 * 86_400, -301])
    def test_is_refused_when_it_is_old_or_from_the_future(self, bench: Bench, age_s: int) -> None:
        headers, body = bench.callback(paid(bench))
        now = NOW + timedelta(seconds=age_s)

        with pytest.raises(StaleCallback) as refusal:
            bench.adapter.verify_callback(account=bench.alice, headers=headers, body=body, now=now)

        assert refusal.value.details == {"age_s": age_s}

    def test_is_refused_when_it_speaks_of_another_account(self, bench: Bench) -> None:
        _, body = bench.callback(paid(bench))
        foreign = json.dumps({**json.loads(body), "account": "acct_somebody_else"}).encode()

        with pytest.raises(WrongAccount):
            bench.adapter.verify_callback(account=bench.alice, headers=bench.sign(foreign, NOW), body=foreign, now=NOW)

    @pytest.mark.parametrize(
        "body",
        [b"", b"not json", b"[]", b"{}", b"null", b'"text"', b'{"object": "event"}', b"\xff\xfe", b"[" * 100_000,
         b'{"object": "event", "id": 1, "type": [], "created": "x", "data": {"object": 7}, "account": null}'],
        ids=["empty", "words", "list", "object", "null", "string", "bare event", "not utf-8", "deep", "wrong types"],
    )  # fmt: skip
    def test_is_refused_when_it_is_signed_nonsense(self, bench: Bench, body: bytes) -> None:
        with pytest.raises(CallbackRefused) as refusal:
            bench.adapter.verify_callback(account=bench.alice, headers=bench.sign(body, NOW), body=body, now=NOW)

        assert isinstance(refusal.value, Malformed | BadSignature | WrongAccount)
        assert refusal.value.status == 400


class TestRefund:
    def test_gives_back_a_part_and_then_the_rest(self, bench: Bench) -> None:
        ref = paid(bench)

        statuses = [refund(bench, ref, "rfd_1", 999), refund(bench, ref, "rfd_2", 1000)]

        assert statuses == [RefundStatus.SUCCEEDED, RefundStatus.SUCCEEDED]
        facts = bench.adapter.query(account=bench.alice, payment_id="pay_1", channel_ref=ref).facts
        assert sorted((fact.kind, fact.amount_minor, fact.refund_id) for fact in facts) == [
            (FactKind.PAID, 1999, ""),
            (FactKind.REFUNDED, 999, "rfd_1"),
            (FactKind.REFUNDED, 1000, "rfd_2"),
        ]

    def test_happens_once_for_one_id(self, bench: Bench) -> None:
        ref = paid(bench)
        refund(bench, ref, "rfd_1", 1999)

        refund(bench, ref, "rfd_1", 1999)

        facts = bench.adapter.query(account=bench.alice, payment_id="pay_1", channel_ref=ref).facts
        assert sum(fact.amount_minor for fact in facts if fact.kind is FactKind.REFUNDED) == 1999

    def test_refuses_the_same_id_with_another_amount(self, bench: Bench) -> None:
        ref = paid(bench)
        refund(bench, ref, "rfd_1", 500)

        with pytest.raises(ChannelRefused) as refusal:
            refund(bench, ref, "rfd_1", 501)

        assert refusal.value.code == "idempotency_conflict"

    @pytest.mark.parametrize("before", [0, 1000, 1999])
    def test_refuses_more_than_is_left(self, bench: Bench, before: int) -> None:
        ref = paid(bench)
        if before:
            refund(bench, ref, "rfd_1", before)
        facts = bench.adapter.query(account=bench.alice, payment_id="pay_1", channel_ref=ref).facts

        with pytest.raises(ChannelRefused) as refusal:
            refund(bench, ref, "rfd_2", 2000 - before)

        assert refusal.value.code == "over_refund"
        assert bench.adapter.query(account=bench.alice, payment_id="pay_1", channel_ref=ref).facts == facts

    def test_refuses_another_currency(self, bench: Bench) -> None:
        ref = paid(bench)

        with pytest.raises(ChannelRefused) as refusal:
            bench.adapter.refund(
                account=bench.alice, payment_id="pay_1", channel_ref=ref, refund_id="rfd_1", amount_minor=1999,
                currency="USD", reason="",
            )  # fmt: skip

        assert refusal.value.code == "wrong_currency"

    def test_is_found_again_by_our_id(self, bench: Bench) -> None:
        ref = paid(bench)
        refund(bench, ref, "rfd_1", 700)

        found = bench.adapter.query_refund(account=bench.alice, payment_id="pay_1", channel_ref=ref, refund_id="rfd_1")

        assert (found.status, found.amount_minor, found.currency) == (RefundStatus.SUCCEEDED, 700, "CNY")
        by_ref = bench.adapter.query_refund(
            account=bench.alice, payment_id="pay_1", channel_ref=ref, refund_id="rfd_1",
            channel_refund_ref=found.channel_refund_ref,
        )  # fmt: skip
        assert by_ref == found

    def test_that_was_never_made_is_not_found(self, bench: Bench) -> None:
        found = bench.adapter.query_refund(
            account=bench.alice, payment_id="pay_1", channel_ref=paid(bench), refund_id="rfd_never"
        )

        assert (found.status, found.amount_minor) == (RefundStatus.NOT_FOUND, 0)


class TestBill:
    def test_lists_the_days_movements_with_their_fees(self, bench: Bench) -> None:
        ref = paid(bench)
        refund(bench, ref, "rfd_1", 500)
        facts = bench.adapter.query(account=bench.alice, payment_id="pay_1", channel_ref=ref).facts

        lines = list(bench.adapter.bill(account=bench.alice, day=NOW.astimezone(bench.adapter.bill_zone).date()))

        assert {(line.kind, line.amount_minor, line.fee_minor, line.net_minor) for line in lines} == {
            (BillKind.PAYMENT, 1999, FEES[bench.name], 1999 - FEES[bench.name]),
            (BillKind.REFUND, -500, 0, -500),
        }
        assert {line.channel_fact_id for line in lines} == {fact.channel_fact_id for fact in facts}
        assert {(line.payment_id, line.refund_id) for line in lines} == {("pay_1", ""), ("pay_1", "rfd_1")}

    def test_is_empty_on_another_day_and_for_another_account(self, bench: Bench) -> None:
        paid(bench)
        day = NOW.astimezone(bench.adapter.bill_zone).date()

        assert list(bench.adapter.bill(account=bench.alice, day=day + timedelta(days=1))) == []
        assert list(bench.adapter.bill(account=bench.alice, day=day - timedelta(days=1))) == []
        assert list(bench.adapter.bill(account=bench.bob, day=day)) == []
