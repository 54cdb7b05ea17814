"""A shop on a plan with a price."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def subscribed(make_shop: Callable[..., Any]) -> Callable[..., Any]:
    """`subscribed(plan, at=…, interval=…, paid=…)`: see `stage.subscribe`."""
    from tests.shared_apps.billing import stage

    return lambda plan, **values: stage.subscribe(make_shop, plan, **values)
