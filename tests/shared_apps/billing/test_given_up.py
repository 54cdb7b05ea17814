"""An invoice by card that is taken back: not while Stripe collects it, and what is paid for it all the same is the shop's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from shared_apps.billing import services
from shared_apps.billing.models import Invoice
from shared_apps.billing.services import BillingRefused
from shared_apps.receipts.models import InboxEvent
from tests.shared_apps.billing.stage import make_plan, prepaid, state
from tests.shared_apps.billing.test_cards import Stripe, by_card, invoices, row_of


def declined(stripe: Stripe, subscribed: Callable[..., Any]) -> tuple[Any, Invoice]:
    """A shop whose card was declined at the renewal, and the invoice that is open since."""
    shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
    stripe.merchant.billing.decline(row_of(shop).stripe_customer)
    stripe.pass_days(31.2)
    stripe.tell()
    with in_main():
        return shop, Invoice.objects.get(substation_id=shop.pk, state="OPEN")


def unhandled(stripe: Stripe) -> list[str]:
    with in_main():
        return list(
            InboxEvent.objects.filter(account_id=stripe.account_id, state="RECEIVED").values_list("problem", flat=True)
        )


@pytest.mark.parametrize("written_off", [False, True])
def test_not_while_stripe_collects_it(stripe: Stripe, subscribed: Callable[..., Any], written_off: bool) -> None:
    shop, invoice = declined(stripe, subscribed)

    with in_main(), pytest.raises(BillingRefused, match="Void it there"):
        services.void_invoice(
            number=invoice.number, reason="by mistake", by=SYSTEM, now=stripe.now, written_off=written_off
        )

    assert invoices(shop) == [("OPENING", "PAID", 9_800), ("PERIOD", "OPEN", 9_800)]
    assert state(shop) == ("PAST_DUE", "PAST_DUE", "REMINDED")


def test_once_the_card_pays_for_nothing_any_more(stripe: Stripe, subscribed: Callable[..., Any]) -> None:
    shop, invoice = declined(stripe, subscribed)
    stripe.merchant.billing.cancel_subscription(row_of(shop).stripe_subscription, {})
    stripe.tell()

    with in_main():
        services.void_invoice(number=invoice.number, reason="nobody collects it", by=SYSTEM, now=stripe.now)

    assert invoices(shop)[1:] == [("PERIOD", "VOID", 9_800)]


@pytest.mark.parametrize("given_up", ["VOID", "UNCOLLECTIBLE"])
def test_what_is_paid_for_it_all_the_same_is_the_shops_balance(
    stripe: Stripe, subscribed: Callable[..., Any], given_up: str
) -> None:
    shop, invoice = declined(stripe, subscribed)
    with in_main():
        Invoice.objects.filter(pk=invoice.pk).update(state=given_up)

    stripe.merchant.billing.accept(row_of(shop).stripe_customer)
    stripe.pass_days(8)
    stripe.tell()
    stripe.tell()

    assert prepaid(shop) == 9_800
    assert invoices(shop) == [("OPENING", "PAID", 9_800), ("PERIOD", given_up, 9_800)]
    assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
    assert unhandled(stripe) == []
