"""What these tests ask of Stripe through our adapter, as the main station does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from kameng.lib.outside.http import Transport
from shared_apps.billing.channel import InvoiceState
from shared_apps.billing.stripe.adapter import StripeBilling
from shared_apps.receipts.types import AccountInfo
from tests.fakes.stripe import FakeStripe, Merchant
from tests.fakes.stripe.hurry import PATIENT

NOW = datetime(2026, 9, 1, tzinfo=UTC)  # September has 30 days.


DAY = 86_400


KEY = "sk_test_main"


def adapter(fake: FakeStripe, *, transport: Transport | None = None, key: str = KEY) -> StripeBilling:
    account = AccountInfo(
        id=1, public_id="acc_1", channel="stripe", account_ref="acct_main", name="Stripe", substation_id=None,
        api_base=fake.base_url, enabled=True, credentials={"api_key": key, "webhook_secret": "whsec_main"},
    )  # fmt: skip
    return StripeBilling(account, transport=transport or Transport("stripe", PATIENT))


def customer(billing: StripeBilling) -> str:
    return billing.ensure_customer(
        substation_public_id="sub_alice",
        email="alice@example.com",
        name="Alice's shop",
        idempotency_key="cus:sub_alice",
    )


def page(billing: StripeBilling, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "customer": customer(billing),
        "currency": "CNY",
        "opening_fee_minor": 50_000,
        "deposit_minor": 100_000,
        "period_fee_minor": 9900,
        "interval": "MONTH",
        "trial_days": 0,
        "plan": "pro",
        "name": "专业版",
        "success_url": "http://main.example/done",
        "cancel_url": "http://main.example/plans",
        "reference": "bpg_1",
        "idempotency_key": "bpg_1",
        "locale": "en",
    }
    return billing.open_checkout(**{**values, **changes})


def subscribed(billing: StripeBilling, merchant: Merchant, **changes: Any) -> str:
    opened = page(billing, **changes)
    merchant.pay(opened.session_id)
    return billing.fetch_checkout(opened.session_id).subscription


def only_period(**changes: Any) -> dict[str, Any]:
    return {"opening_fee_minor": 0, "deposit_minor": 0, **changes}


def change(billing: StripeBilling, subscription: str, amount: int = 29_900, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "subscription": subscription,
        "new_amount_minor": amount,
        "interval": "MONTH",
        "plan": "flagship",
        "name": "旗舰版",
        "at": NOW,
        "prorate": True,
        "idempotency_key": "quo_1",
    }
    return billing.change_plan(**{**values, **changes})


def preview(
    billing: StripeBilling, subscription: str, at: datetime, amount: int = 29_900, interval: str = "MONTH"
) -> int:
    return billing.preview_change(
        subscription=subscription, new_amount_minor=amount, interval=interval, plan="flagship", name="旗舰版", at=at
    )


def latest(billing: StripeBilling, subscription: str) -> InvoiceState:
    return billing.fetch_invoice(billing.fetch_subscription(subscription).latest_invoice)


def everything(merchant: Merchant) -> str:
    """All that the account holds, to compare."""
    own = merchant.billing
    return json.dumps([own.subscriptions, own.invoices, own.items, own.payments, merchant.charges], sort_keys=True)
