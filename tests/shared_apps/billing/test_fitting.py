"""A smaller plan, and somebody who adds the last one at the same moment: counted before, or refused after."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_substation
from shared_apps.billing import services
from shared_apps.billing.services import _changes, _subscriptions
from tenants.limits import LimitReached
from tests.shared_apps.billing.stage import APRIL, MARCH, make_plan, state, top_up
from tests.tenant_apps.racing import Runner
from tests.tenants.test_limits import invite, people

LATER = APRIL + timedelta(minutes=1)


def adds_when_counted(monkeypatch: pytest.MonkeyPatch, module: Any, shop: Any) -> list[Runner]:
    """Have somebody invite one more person, from elsewhere, as soon as what is in use has been counted."""
    adding: list[Runner] = []
    real = module.exceeded_by

    def add() -> None:
        with in_substation(shop):
            invite("late@example.com")

    def counted(*arguments: Any) -> Any:
        found = real(*arguments)
        adding.append(Runner(add))
        adding[-1].wait_until_blocked()
        return found

    monkeypatch.setattr(module, "exceeded_by", counted)
    return adding


def test_a_downgrade_that_comes_about(subscribed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    small, big = make_plan(monthly_fee_minor=9_800, max_staff=1), make_plan(monthly_fee_minor=29_800)
    shop = subscribed(big)
    top_up(shop, 100_000)
    services.schedule_change(substation_id=shop.pk, plan_code=small.code, interval="MONTH", by=SYSTEM, now=MARCH)
    adding = adds_when_counted(monkeypatch, _subscriptions, shop)

    services.renew_due(now=LATER)

    with pytest.raises(LimitReached):
        adding[0].result()
    assert people(shop) == [shop.owner_email]
    assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")


def test_a_change_that_counts_at_once(subscribed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=29_800, max_staff=1)
    shop = subscribed(first)
    top_up(shop, 100_000)
    quote = services.quote_change(substation_id=shop.pk, plan_code=other.code, interval="MONTH", now=MARCH).quote
    adding = adds_when_counted(monkeypatch, _changes, shop)

    services.confirm_change(substation_id=shop.pk, quote_public_id=quote.public_id, by=SYSTEM, now=MARCH)

    with pytest.raises(LimitReached):
        adding[0].result()
    assert people(shop) == [shop.owner_email]
