"""Private terms over the API: what is agreed with one substation alone, set and ended."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.lib import clock
from kameng.web.actors import actor
from kameng.web.endpoint import ApiView, naming
from kameng.web.idempotency import idempotent
from kameng.web.openapi import described, in_path, unit_field
from shared_apps.console.api.network import SUBSTATION_ID
from shared_apps.console.selectors import terms
from shared_apps.library import selectors as library
from shared_apps.library import services
from tenants import selectors as tenants

TERMS = "Private terms"
READ, WRITE = "terms:read", "terms:write"
PRICE_ID = in_path("price", "The private price's id.")


class TermFilters(serializers.Serializer[Any]):
    q = serializers.CharField(
        max_length=100, required=False, help_text="Words of the SKU's code or names, or the note."
    )
    state = serializers.ChoiceField(choices=terms.TermState.values, required=False)


class PrivatePriceShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    sku = serializers.CharField(source="sku.code")
    unit = unit_field(help_text="What the substation pays for one.")
    plan_unit = unit_field(allow_null=True, help_text="What its plan pays; null: the plan has no price.")
    currency = serializers.CharField(source="sku.currency")
    state = serializers.ChoiceField(choices=terms.TermState.values)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(
        allow_null=True, help_text="Null: until it is ended. Equal to `starts_at`: taken back before it began."
    )
    note = serializers.CharField()
    by = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_by = serializers.CharField(help_text="Empty where it runs out by itself.")
    ended_at = serializers.DateTimeField(allow_null=True)


class PrivatePriceBody(serializers.Serializer[Any]):
    sku = serializers.CharField(max_length=60, help_text="A SKU's code.")
    unit = unit_field()
    starts_at = serializers.DateTimeField(required=False, allow_null=True, help_text="Null: from now on.")
    ends_at = serializers.DateTimeField(required=False, allow_null=True, help_text="Null: until it is ended.")
    note = serializers.CharField(max_length=services.NOTE_CHARS, required=False, allow_blank=True)


class PrivatePrices(ApiView):
    scopes = {"GET": READ, "POST": WRITE}

    @described(
        "Private terms of a substation", tag=TERMS, name="terms_list", answer=PrivatePriceShape, query=TermFilters,
        paged=True, scope=READ, errors=(404,), extra=(SUBSTATION_ID,),
        text="Supply prices agreed with it alone, in place of its plan's; those that ended stay.",
    )  # fmt: skip
    def get(self, request: Request, public_id: str) -> Response:
        asked, shop = self.asked(request, TermFilters), tenants.substation(public_id)
        rows = terms.private_prices(shop, now=clock.utc_now(), query=asked.get("q", ""), state=asked.get("state", ""))
        return self.page(request, rows, PrivatePriceShape)

    @described(
        "Set a private price", tag=TERMS, name="terms_set", body=PrivatePriceBody, answer=PrivatePriceShape, status=201,
        creates=True, scope=WRITE, errors=(404, 409), extra=(SUBSTATION_ID,),
        text="It ends the SKU's private price that stands for that time; one that says the same stays and is answered. "
        "The shop follows within seconds.",
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, public_id: str) -> Response:
        data, shop = self.sent(request, PrivatePriceBody), tenants.substation(public_id)
        with naming(lambda error: "sku"):
            sku = library.sku_by_code(data.pop("sku"))
        made = services.set_private_price(
            substation_id=shop.pk, sku_id=sku.pk, by=actor(request), now=clock.utc_now(), **data
        )
        return Response(_shown(shop, made.public_id), status=201)


class OnePrivatePrice(ApiView):
    scopes = {"GET": READ}

    @described(
        "A private price", tag=TERMS, name="terms_read", answer=PrivatePriceShape, scope=READ, errors=(404,),
        extra=(SUBSTATION_ID, PRICE_ID),
    )  # fmt: skip
    def get(self, request: Request, public_id: str, price: str) -> Response:
        return Response(_shown(tenants.substation(public_id), price))


class EndPrivatePrice(ApiView):
    scopes = {"POST": WRITE}

    @described(
        "End a private price", tag=TERMS, name="terms_end", answer=PrivatePriceShape, creates=True, scope=WRITE,
        errors=(404, 409), extra=(SUBSTATION_ID, PRICE_ID),
        text="Now, or before it begins; the plan's price holds again within seconds. Its row stays.",
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, public_id: str, price: str) -> Response:
        shop = tenants.substation(public_id)
        services.end_private_price(substation_id=shop.pk, public_id=price, by=actor(request), now=clock.utc_now())
        return Response(_shown(shop, price))


def _shown(shop: Any, price: str) -> dict[str, Any]:
    """Raises: PrivatePriceUnknown."""
    row = terms.private_price(shop, price, clock.utc_now())
    if row is None:
        raise services.PrivatePriceUnknown(_("This substation has no such private price."))
    return dict(PrivatePriceShape(row).data)
