"""A buyer's order over the API: placed, paid, followed, and its codes. The order's token opens it, nothing else."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import get_language
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.db.context import read_only
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import actor, client_ip
from kameng.web.api import MAX_ID
from kameng.web.endpoint import ApiView, naming
from kameng.web.idempotency import idempotent
from kameng.web.openapi import described, in_header, in_path
from kameng.web.transactions import own_transactions
from tenant_apps.orders import services as orders
from tenant_apps.orders.checkout import MAX_LINES, MAX_QUANTITY
from tenant_apps.orders.models import Order
from tenant_apps.orders.states import DeliveryState, OrderState
from tenant_apps.orders.types import PlacedOrder
from tenant_apps.payments import services as payments
from tenant_apps.payments.states import PaymentState
from tenant_apps.shop.selectors import open_shop
from tenant_apps.storefront.selectors import order_for, shown_order

TAG = "Orders"
NUMBER = in_path("number", "The order's number.")
TOKEN = in_header("X-Order-Token", "The order's secret, from the answer that placed it.")


class LineBody(serializers.Serializer[Any]):
    sku_id = serializers.IntegerField(min_value=1, max_value=MAX_ID)
    quantity = serializers.IntegerField(min_value=1, max_value=MAX_QUANTITY)


class OrderBody(serializers.Serializer[Any]):
    lines = serializers.ListField(
        child=LineBody(), min_length=1, max_length=MAX_LINES, help_text="What is wanted; `sku_id` as in the listings."
    )
    contact = serializers.CharField(max_length=120, help_text="An email address, a phone or a QQ number.")
    buyer_fields = serializers.DictField(
        child=serializers.CharField(max_length=200, allow_blank=True), required=False, default=dict,
        help_text="What the listings' `buyer_fields` ask for, by key.",
    )  # fmt: skip
    expected_total_minor = serializers.IntegerField(
        min_value=0, max_value=MAX_ID, required=False, allow_null=True, default=None,
        help_text="The total that the buyer saw: another one is refused, and told in `details.total_minor`.",
    )  # fmt: skip
    lookup_secret = serializers.CharField(
        min_length=6, max_length=64, required=False, help_text="The buyer's query password; made for them when absent."
    )


class PlacedShape(serializers.Serializer[Any]):
    number = serializers.CharField()
    token = serializers.CharField(help_text="The order's secret, for X-Order-Token. Shown this once.")
    lookup_secret = serializers.CharField(help_text="The query password. Shown this once.")
    total_minor = serializers.IntegerField()
    currency = serializers.CharField()
    pay_by = serializers.DateTimeField()
    url = serializers.SerializerMethodField(help_text="The buyer's page. It holds the token: for the buyer alone.")

    def get_url(self, placed: PlacedOrder) -> str:
        return _page(self.context["request"], placed.number, placed.token)


class OrderLineShape(serializers.Serializer[Any]):
    sku_id = serializers.IntegerField()
    name = serializers.CharField()
    quantity = serializers.IntegerField()
    total_minor = serializers.IntegerField()
    instant = serializers.BooleanField(help_text="Delivered from the code stock, without a person.")
    state = serializers.ChoiceField(choices=DeliveryState.choices)
    note = serializers.CharField(help_text="What a person wrote when delivering it.")


class OrderStepShape(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    title = serializers.CharField()
    text = serializers.CharField()


class OrderPaymentShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    channel = serializers.CharField()
    state = serializers.ChoiceField(choices=PaymentState.choices)


class OrderShape(serializers.Serializer[Any]):
    number = serializers.CharField(source="order.number")
    state = serializers.ChoiceField(choices=OrderState.choices, source="order.state")
    total_minor = serializers.IntegerField(source="order.total_minor")
    currency = serializers.CharField(source="order.currency")
    placed_at = serializers.DateTimeField(source="order.placed_at")
    pay_by = serializers.DateTimeField(source="order.expires_at")
    paid_at = serializers.DateTimeField(source="order.paid_at", allow_null=True)
    delivered_at = serializers.DateTimeField(source="order.delivered_at", allow_null=True)
    has_codes = serializers.BooleanField(help_text="Codes can be asked for.")
    lines = OrderLineShape(many=True)
    payment = OrderPaymentShape(allow_null=True, help_text="The newest attempt.")
    steps = OrderStepShape(many=True, help_text="What happened, newest first.")


class ChannelShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id", help_text="Names the channel when a payment is begun.")
    channel = serializers.CharField()
    name = serializers.CharField()


class PaymentBody(serializers.Serializer[Any]):
    channel_id = serializers.CharField(max_length=30, help_text="The id from /channels/.")


class PaymentShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    channel = serializers.CharField()
    redirect_url = serializers.CharField(help_text="Where the buyer pays.")
    qr_text = serializers.CharField(help_text="What a code to scan holds, where the channel has one; else empty.")


class LineCodesShape(serializers.Serializer[Any]):
    sku_id = serializers.IntegerField()
    name = serializers.CharField()
    codes = serializers.ListField(child=serializers.CharField())


class CodesShape(serializers.Serializer[Any]):
    number = serializers.CharField()
    lines = LineCodesShape(many=True, help_text="Empty while nothing has been delivered from the code stock.")


class Channels(ApiView):
    scopes = {"GET": None}

    @described("Ways to pay", tag=TAG, name="channels_list", answer=ChannelShape(many=True))
    def get(self, request: Request) -> Response:
        return Response(ChannelShape(payments.offered_channels(), many=True).data)


class Orders(ApiView):
    scopes = {"POST": None}

    @described(
        "Place an order", tag=TAG, name="orders_create", body=OrderBody, answer=PlacedShape, status=201, creates=True,
        errors=(404, 503), text="All lines or none; the stock is held until `pay_by` and a little longer.",
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        open_shop(allowed=request._request.tenant.sells)  # type: ignore[attr-defined]
        data = self.sent(request, OrderBody)
        with naming(lambda error: _at_line(error, data["lines"])):
            placed = orders.place_order(
                lines=[(line["sku_id"], line["quantity"]) for line in data["lines"]], contact=data["contact"],
                buyer_fields=data["buyer_fields"], expected_total_minor=data["expected_total_minor"],
                language=get_language() or settings.LANGUAGE_CODE, ip=client_ip(request), source="API",
                by=actor(request), now=clock.utc_now(), lookup_secret=data.get("lookup_secret"),
            )  # fmt: skip
        return Response(PlacedShape(placed, context={"request": request}).data, status=201)


class OneOrder(ApiView):
    scopes = {"GET": None}

    @described(
        "How an order stands", tag=TAG, name="orders_read", answer=OrderShape, errors=(404,),
        extra=(NUMBER, TOKEN), text="A wrong token gets the same answer as a number that never was.",
    )  # fmt: skip
    def get(self, request: Request, number: str) -> Response:
        return Response(OrderShape(shown_order(_mine(request, number))).data)


@own_transactions
class Payments(ApiView):
    """Its own transactions: the channel is called between them."""

    scopes = {"POST": None}

    @described(
        "Begin a payment", tag=TAG, name="orders_payments_create", body=PaymentBody, answer=PaymentShape, status=201,
        creates=True, errors=(404, 503), extra=(NUMBER, TOKEN),
        text="An open attempt by the same channel is answered again.",
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        wanted = self.sent(request, PaymentBody)["channel_id"]
        with read_only():
            order = _mine(request, number)
            offers = {offer.public_id: offer for offer in payments.offered_channels()}
        if wanted not in offers:
            raise payments.ChannelMissing()
        address = _page(request, order.number, _token(request))
        started = payments.start_payment(
            order_number=order.number, account_id=offers[wanted].account_id, return_url=address, cancel_url=address,
            notify_base=f"{request.scheme}://{request.get_host()}", by=actor(request), now=clock.utc_now(),
        )  # fmt: skip
        return Response(PaymentShape(started).data, status=201)


class Codes(ApiView):
    scopes = {"POST": None}

    @described(
        "Show the codes", tag=TAG, name="orders_codes", answer=CodesShape, errors=(403, 404, 409),
        extra=(NUMBER, TOKEN), text="A POST, because each look is recorded.",
    )  # fmt: skip
    def post(self, request: Request, number: str) -> Response:
        seen = shown_order(_mine(request, number))
        revealed = []
        if seen.has_codes:
            revealed = orders.reveal_codes(
                number=seen.order.number, by=actor(request), reason="asked for over the API", ip=client_ip(request),
                now=clock.utc_now(),
            )  # fmt: skip
        lines = [
            {
                "sku_id": line.sku_id, "name": line.name,
                "codes": [code.text for code in revealed if code.sku_id == line.sku_id],
            }
            for line in seen.lines
        ]  # fmt: skip
        answer = {"number": seen.order.number, "lines": [line for line in lines if line["codes"]]}
        return Response(CodesShape(answer).data)


def _at_line(error: DomainError, lines: list[dict[str, Any]]) -> str:
    """Where in the body a product or quantity stands that was refused: `lines.0.quantity`."""
    place = next((n for n, line in enumerate(lines) if line["sku_id"] == error.details.get("sku_id")), None)
    return "" if place is None or error.field not in ("sku_id", "quantity") else f"lines.{place}.{error.field}"


def _token(request: Request) -> str:
    return str(request.headers.get("X-Order-Token", ""))


def _mine(request: Request, number: str) -> Order:
    """The order that the token opens. Raises: OrderMissing, the same for an unknown number and a wrong token."""
    return order_for(number, _token(request))


def _page(request: Request, number: str, token: str) -> str:
    return str(request.build_absolute_uri(f"/o/{number}/{token}/"))
