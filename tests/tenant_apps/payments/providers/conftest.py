"""Both channels as real servers on 127.0.0.1, a clock that stands still, and a merchant account at each."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kameng.lib.outside.http import Limits
from kameng.testpay import keys
from kameng.testpay.channel import Action
from kameng.testpay.server import TestpayServer
from tenant_apps.payments.providers.base import MerchantAccount, PaymentChannel, PaymentRequest
from tenant_apps.payments.providers.stripe.adapter import StripeAdapter
from tenant_apps.payments.providers.testpay.adapter import TestpayAdapter
from tests.fakes.stripe import FakeStripe

NOW = datetime(2026, 9, 22, 3, 30, tzinfo=UTC)
MASTER = "a master secret for tests"
ALICE, BOB = "alice", "bob"
LIMITS = Limits(connect_s=2, read_s=10, total_s=20)


@dataclass
class Bench:
    """One channel: its adapter, Alice's and Bob's accounts there, and the buyer's hand."""

    name: str
    adapter: PaymentChannel
    alice: MerchantAccount
    bob: MerchantAccount
    pay: Callable[[str], None]
    callback: Callable[[str], tuple[dict[str, str], bytes]]
    """Headers and body of the newest callback that the channel would send Alice, signed at NOW."""
    sign: Callable[[bytes, datetime], dict[str, str]]
    """Headers of any bytes, signed with Alice's secret at a given time."""
    server: Any


def a_request(payment_id: str = "pay_1", **changes: Any) -> PaymentRequest:
    """Alice's buyer wants a code for 19.99 CNY."""
    values: dict[str, Any] = {
        "payment_id": payment_id,
        "order_number": "ORD-1",
        "amount_minor": 1999,
        "currency": "CNY",
        "title": "Steam 充值卡 20 美元",
        "return_url": "http://alice.example/orders/1",
        "cancel_url": "http://alice.example/checkout",
        "notify_url": "http://127.0.0.1:9/callback",
        "created_at": NOW,
        "expires_at": NOW + timedelta(minutes=15),
        "locale": "zh",
        "metadata": {"substation": "s_0000001"},
        "merchant_name": "Alice's shop",
    }
    return PaymentRequest(**{**values, **changes})


@pytest.fixture
def stripe_bench() -> Iterator[Bench]:
    with FakeStripe(clock=NOW.timestamp) as fake:

        def account(name: str) -> MerchantAccount:
            hooks = fake.webhooks(f"sk_test_{name}")
            hooks.secret = f"whsec_{name}"
            credentials = {"api_key": f"sk_test_{name}", "webhook_secret": hooks.secret}
            return MerchantAccount("stripe", f"acct_{name}", credentials, fake.base_url)

        def callback(channel_ref: str) -> tuple[dict[str, str], bytes]:
            return fake.webhooks("sk_test_alice").signed(fake.webhooks("sk_test_alice").pending()[-1])

        def sign(body: bytes, at: datetime) -> dict[str, str]:
            # The format is the one that `keys` writes, so the same function signs for both.
            return {
                "Stripe-Signature": keys.callback_signature("whsec_alice", timestamp=int(at.timestamp()), body=body)
            }

        yield Bench(
            name="stripe",
            adapter=StripeAdapter(limits=LIMITS, clock=lambda: NOW),
            alice=account(ALICE),
            bob=account(BOB),
            pay=lambda ref: _page_pay(f"{fake.base_url}/c/pay/{ref}"),
            callback=callback,
            sign=sign,
            server=fake,
        )


@pytest.fixture
def testpay_bench(tmp_path: Path) -> Iterator[Bench]:
    server = TestpayServer(folder=tmp_path, master=MASTER, clock=NOW.timestamp)
    server.start(rounds=False)

    def account(name: str) -> MerchantAccount:
        return MerchantAccount("testpay", name, {"secret": keys.merchant_secret(MASTER, name)}, server.base_url)

    def sign(body: bytes, at: datetime) -> dict[str, str]:
        secret = keys.merchant_secret(MASTER, ALICE)
        return {keys.CALLBACK_HEADER: keys.callback_signature(secret, timestamp=int(at.timestamp()), body=body)}

    def callback(channel_ref: str) -> tuple[dict[str, str], bytes]:
        row = server.app.store.row("SELECT body FROM notice WHERE payment_id = ? ORDER BY seq DESC", (channel_ref,))
        assert row is not None
        return sign(row["body"], NOW), row["body"]

    yield Bench(
        name="testpay",
        adapter=TestpayAdapter(limits=LIMITS, clock=lambda: NOW),
        alice=account(ALICE),
        bob=account(BOB),
        pay=lambda ref: _act(server, ref),
        callback=callback,
        sign=sign,
        server=server,
    )
    server.stop()


@pytest.fixture(params=["stripe", "testpay"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """Each channel in turn, for what the contract asks of every one."""
    found: Bench = request.getfixturevalue(f"{request.param}_bench")
    return found


def _act(server: TestpayServer, ref: str) -> None:
    server.app.channel.act(ref, Action.PAY)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """The shop that the page leads back to does not exist here."""


def _page_pay(url: str) -> None:
    opener = urllib.request.build_opener(_Stay, urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError) as away:
        opener.open(url, data=b"action=pay", timeout=10)
    away.value.close()
    assert away.value.code == 303
