"""A fake of Stripe for each test, and our adapter that talks to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared_apps.billing.stripe.adapter import StripeBilling
from tests.fakes.stripe import FakeStripe, Merchant
from tests.fakes.stripe.hurry import Hurried
from tests.shared_apps.billing.stripe.talk import KEY, NOW, adapter


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with FakeStripe(clock=NOW.timestamp) as server:
        yield server


@pytest.fixture
def merchant(fake: FakeStripe) -> Merchant:
    """The main station's account, from the inside."""
    return fake.merchant(KEY)


@pytest.fixture
def billing(fake: FakeStripe) -> StripeBilling:
    return adapter(fake)


@pytest.fixture
def hurried(fake: FakeStripe) -> StripeBilling:
    return adapter(fake, transport=Hurried(fake))
