"""Orders of the shop over the API: the list, one with its history, and delivery by a person or their program."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.lib import clock
from kameng.web.actors import actor
from kameng.web.api import MAX_ID, sees_money
from kameng.web.endpoint import ApiView
from kameng.web.idempotency import idempotent
from kameng.web.openapi import described, in_path, unit_field
from tenant_apps.orders import selectors, services
from tenant_apps.orders.models import Order
from tenant_apps.orders.states import DeliveryState, OrderState

TAG = "Panel: orders"
READ, WRITE = "orders:read", "orders:write"
NUMBER = in_path("number", "The order's number.")


class OrderFilters(serializers.Serializer[Any]):
    q = serializers.CharField(max_length=120, required=False, help_text="A number, or part of a contact.")
    state = serializers.ChoiceField(choices=OrderState.choices, required=False)
    placed_from = serializers.DateTimeField(required=False)
    placed_until = serializers.DateTimeField(required=False, help_text="Exclusive.")
    queued = serializers.BooleanField(
        required=False, default=False, help_text="Only those with a line that waits for a person."
    )


class PanelLineShape(serializers.Serializer[Any]):
    id = serializers.IntegerField(help_text="Names the line when it is delivered.")
    sku_id = serializers.IntegerField()
    sku_code = serializers.CharField()
    name_zh = serializers.CharField()
    name_en = serializers.CharField()
    delivery = serializers.CharField(help_text="CODES: at once; MANUAL: by a person.")
    quantity = serializers.IntegerField()
    unit = unit_field()
    total_minor = serializers.IntegerField()
    delivery_state = serializers.ChoiceField(choices=DeliveryState.choices)
    delivery_note = serializers.CharField()
    delivered_at = serializers.DateTimeField(allow_null=True)


class PanelOrderShape(serializers.Serializer[Any]):
    number = serializers.CharField()
    state = serializers.ChoiceField(choices=OrderState.choices)
    contact = serializers.CharField()
    total_minor = serializers.IntegerField()
    earned_minor = serializers.SerializerMethodField(help_text="Null without the right to read the statement.")
    currency = serializers.CharField()
    source = serializers.CharField(help_text="WEB or API.")  # type: ignore[assignment]
    placed_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    lines = PanelLineShape(many=True, source="lines.all")

    def get_earned_minor(self, row: Order) -> int | None:
        return row.earned_minor if self.context["sees_money"] else None


class PanelStepShape(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    subject = serializers.CharField(help_text="ORDER, PAYMENT or DELIVERY.")
    event = serializers.CharField()
    from_state = serializers.CharField()
    to_state = serializers.CharField()
    by = serializers.CharField(source="by_label")
    note = serializers.CharField()


class FullOrderShape(PanelOrderShape):
    buyer_fields = serializers.DictField(help_text="What the buyer filled in.")
    language = serializers.CharField()
    steps = serializers.SerializerMethodField(help_text="Everything that happened, oldest first.")

    def get_steps(self, row: Order) -> PanelStepShape(many=True):  # type: ignore[valid-type]
        return PanelStepShape(selectors.timeline(row.pk), many=True).data


class DeliverBody(serializers.Serializer[Any]):
    line_id = serializers.IntegerField(min_value=1, max_value=MAX_ID)
    note = serializers.CharField(max_length=4000, help_text="What the buyer gets to read.")


class Orders(ApiView):
    scopes = {"GET": READ}

    @described(
        "Orders", tag=TAG, name="panel_orders_list", answer=PanelOrderShape, query=OrderFilters, paged=True, scope=READ
    )
    def get(self, request: Request) -> Response:
        asked = self.asked(request, OrderFilters)
        rows = selectors.orders_for_panel(
            states=(asked["state"],) if "state" in asked else (), text=asked.get("q", ""),
            since=asked.get("placed_from"), until=asked.get("placed_until"), queued=asked["queued"],
        )  # fmt: skip
        return self.page(request, rows, PanelOrderShape, context={"sees_money": sees_money(request)})


class OneOrder(ApiView):
    scopes = {"GET": READ}

    @described(
        "An order with its history", tag=TAG, name="panel_orders_read", answer=FullOrderShape, scope=READ,
        errors=(404,), extra=(NUMBER,),
    )  # fmt: skip
    def get(self, request: Request, number: str) -> Response:
        return _shown(request, number)


class Deliver(ApiView):
    even_unpaid = True  # The buyer has paid, whatever the shop owes.
    scopes = {"POST": WRITE}

    @described(
        "Deliver a line", tag=TAG, name="panel_orders_deliver", body=DeliverBody, answer=FullOrderShape, creates=True,
        scope=WRITE, errors=(404,), extra=(NUMBER,), text="One that waits for a person. The buyer is told by mail.",
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        data = self.sent(request, DeliverBody)
        order = selectors.order_for_staff(number)
        if data["line_id"] not in {line.pk for line in order.lines.all()}:
            raise services.OrderMissing()
        services.deliver_by_hand(line_id=data["line_id"], note=data["note"], by=actor(request), now=clock.utc_now())
        return _shown(request, number)


def _shown(request: Request, number: str) -> Response:
    order = selectors.order_for_staff(number)
    return Response(FullOrderShape(order, context={"sees_money": sees_money(request)}).data)
