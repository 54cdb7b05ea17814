"""The fixtures of the money path: a shop with shelves and a channel, and goods of each test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel


@pytest.fixture(scope="session")
def shop(make_shop: Callable[..., Any]) -> Any:
    """A shop on the basic plan (2 % platform fee) with a merchant account of the main station. Committed."""
    from kameng.db.context import in_main

    made = make_shop(f"money-{market.public_id('x')[2:8].lower()}")
    with in_main():
        market.open_books(made)
    return made


@pytest.fixture(scope="session")
def account(prepared: None) -> Any:
    """The main station's account at the test channel; its secret is `s3cret`."""
    from kameng.db.context import in_main

    with in_main():
        return market.ensure_account()


@pytest.fixture
def sell(shop: Any) -> Callable[..., market.Goods]:
    """Goods on the shop's shelves: `sell(codes=3)`."""

    def put(**wishes: Any) -> market.Goods:
        from kameng.db.context import in_main

        with in_main():
            goods = market.make_goods(**wishes)
        market.stock_shelves(shop)
        return goods

    return put


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> MemoryChannel:
    """The test channel, in memory."""
    from tenant_apps.payments import providers

    memory = MemoryChannel()
    monkeypatch.setattr(providers, "get", lambda name: memory)
    return memory


@pytest.fixture(autouse=True)
def _no_wake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Jobs stay in their table: these tests have no worker."""
    from kameng.jobs import services

    monkeypatch.setattr(services, "_wake", lambda job_id: None)
    return
