"""A shop on a plan with a price."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def subscribed(make_shop: Callable[..., Any]) -> Callable[..., Any]:
    """`subscribed(plan, at=…, interval=…, paid=…)`: see `stage.subscribe`."""
    from tests.shared_apps.billing import stage

    return lambda plan, **values: stage.subscribe(make_shop, plan, **values)


@pytest.fixture
def stripe(prepared: None) -> Iterator[Any]:
    """The main station's account at the fake of Stripe: see `test_cards.Stripe`."""
    from tests.shared_apps.billing import test_cards

    yield from test_cards.account_at_stripe()
