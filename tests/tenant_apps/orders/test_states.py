"""Every state × event pair of an order and of a line, against the database."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from kameng.db.context import in_substation
from tenant_apps.orders.models import Order, OrderLine, OrderStep
from tenant_apps.orders.services import OrderTransitionRefused
from tenant_apps.orders.services._transitions import move_lines, move_order
from tenant_apps.orders.states import (
    DELIVERY_TRANSITIONS,
    ORDER_TRANSITIONS,
    DeliveryEvent,
    DeliveryState,
    OrderEvent,
    OrderState,
)
from tests.tenant_apps.market import CLERK, NOW


def make_order(state: str) -> Order:
    return Order.objects.create(
        number="KTEST", token_digest=b"x" * 32, lookup_digest=b"x" * 32, contact="10001", state=state, currency="CNY",
        total_minor=100, cost_minor=50, placed_at=NOW, expires_at=NOW, paid_at=NOW, updated_at=NOW,
    )  # fmt: skip


def make_line(order: Order, state: str) -> OrderLine:
    return OrderLine.objects.create(
        order=order, sku_id=1, sku_code="S", product_slug="s", name_zh="S", kind="CARD_CODE", delivery="MANUAL", quantity=1,
        unit=1, total_minor=100, supply_unit="0.5", cost_minor=50, delivery_state=state,
    )  # fmt: skip


@pytest.mark.usefixtures("db")
class TestEveryPair:
    @pytest.mark.parametrize(("state", "event"), list(itertools.product(OrderState, OrderEvent)))
    def test_an_order_moves_only_where_the_table_says(self, alice: Any, state: OrderState, event: OrderEvent) -> None:
        sources, target = ORDER_TRANSITIONS[event]

        with in_substation(alice):
            order = make_order(state)
            if state in sources:
                came_from = move_order(
                    order_id=order.pk, number=order.number, event=event, by=CLERK, now=NOW, note="why"
                )

                order.refresh_from_db()
                step = OrderStep.objects.get(order=order)
                assert (came_from, order.state) == (state, target)
                assert (step.subject, step.event, step.from_state, step.to_state) == ("ORDER", event, state, target)
                assert (step.by_label, step.note, step.at) == ("Clerk", "why", NOW)
            else:
                with pytest.raises(OrderTransitionRefused) as refused:
                    move_order(order_id=order.pk, number=order.number, event=event, by=CLERK, now=NOW)

                order.refresh_from_db()
                assert refused.value.details["state"] == state
                assert order.state == state
                assert not OrderStep.objects.filter(order=order).exists()

    @pytest.mark.parametrize(("state", "event"), list(itertools.product(DeliveryState, DeliveryEvent)))
    def test_a_line_moves_only_where_the_table_says(
        self, alice: Any, state: DeliveryState, event: DeliveryEvent
    ) -> None:
        sources, target = DELIVERY_TRANSITIONS[event]

        with in_substation(alice):
            order = make_order(OrderState.PAID)
            line = make_line(order, state)
            moved = move_lines(order_id=order.pk, event=event, by=CLERK, now=NOW)

            line.refresh_from_db()
            assert moved == (1 if state in sources else 0)
            assert line.delivery_state == (target if state in sources else state)
            assert OrderStep.objects.filter(order=order, subject="DELIVERY").count() == moved
