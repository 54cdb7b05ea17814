"""What owners read: by what it is paid, and what it will cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from shared_apps.billing import mails, services
from tenants.models import Substation
from tests.shared_apps.billing.stage import APRIL, MARCH, make_plan
from tests.shared_apps.billing.test_cards import Stripe, by_card, row_of


def sent(shop: Any, what: str) -> str:
    """The body of a mail, in English."""
    with in_main():
        Substation.objects.filter(pk=shop.pk).update(language="en")
    assert mails.send(substation_id=shop.pk, what=what, details={})
    return str(mail.outbox[-1].body)


@pytest.mark.parametrize("what", ["due", "reminder", "read_only"])
def test_a_declined_card_is_not_told_to_top_up(stripe: Stripe, subscribed: Callable[..., Any], what: str) -> None:
    shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
    stripe.merchant.billing.decline(row_of(shop).stripe_customer)
    stripe.pass_days(31.2)
    stripe.tell()

    body = sent(shop, what)

    assert "could not be charged to your card" in body
    assert "top up" not in body


@pytest.mark.parametrize("what", ["due", "reminder", "read_only"])
def test_an_empty_balance_is(subscribed: Callable[..., Any], what: str) -> None:
    shop = subscribed(make_plan(monthly_fee_minor=9_800))
    services.renew_due(now=APRIL)

    body = sent(shop, what)

    assert "could not be paid from your prepaid balance" in body
    assert "Please top up" in body


def test_the_sum_ahead_is_that_of_the_plan_to_come(subscribed: Callable[..., Any]) -> None:
    small, big = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=29_800)
    shop = subscribed(big)
    services.schedule_change(substation_id=shop.pk, plan_code=small.code, interval="MONTH", by=SYSTEM, now=MARCH)

    body = sent(shop, "notice")

    assert "does not cover its ¥98.00." in body
