"""Invoices and subscriptions over the API: what each shop was charged, and for which time its plan is paid."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.web.endpoint import ApiView
from kameng.web.openapi import described, in_path
from shared_apps.billing import selectors as billing
from shared_apps.billing import services
from shared_apps.billing.models import Subscription
from shared_apps.billing.states import InvoiceKind, InvoiceState, Method, SubscriptionState
from shared_apps.console.api.network import NETWORK, SUBSTATION_ID
from shared_apps.console.selectors import billing as bills
from tenants import selectors as tenants
from tenants.states import BillingInterval, Standing

BILLING, READ = "Billing", "billing:read"
NUMBER = in_path("number", "The invoice's number: KM-2026-000123.")


class InvoiceFilters(serializers.Serializer[Any]):
    q = serializers.CharField(
        max_length=100, required=False, help_text="Words of number, shop, transfer or channel's id."
    )
    state = serializers.ChoiceField(choices=InvoiceState.choices, required=False)
    kind = serializers.ChoiceField(choices=InvoiceKind.choices, required=False)
    substation = serializers.CharField(max_length=30, required=False, help_text="A substation's id or slug.")


class LineShape(serializers.Serializer[Any]):
    text_zh = serializers.CharField()
    text_en = serializers.CharField()
    amount_minor = serializers.IntegerField(help_text="Negative for what is given back.")
    period_start = serializers.DateTimeField(allow_null=True)
    period_end = serializers.DateTimeField(allow_null=True)


class InvoiceShape(serializers.Serializer[Any]):
    number = serializers.CharField()
    substation = serializers.CharField(source="substation.public_id")
    kind = serializers.ChoiceField(choices=InvoiceKind.choices)
    state = serializers.ChoiceField(choices=InvoiceState.choices)
    total_minor = serializers.IntegerField(help_text="The sum of the lines; negative for a credit note.")
    currency = serializers.CharField()
    buyer_name = serializers.CharField(help_text="As it was when the invoice was issued.")
    issued_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
    paid_by = serializers.SerializerMethodField(help_text="Null until it is paid.")
    transfer = serializers.SerializerMethodField(help_text="The ledger's transfer; null until it is paid.")
    reverses = serializers.SerializerMethodField(help_text="The number that a credit note takes back.")

    def get_paid_by(self, row: Any) -> str | None:
        return row.paid_by or None

    def get_transfer(self, row: Any) -> str | None:
        return row.transfer_id or None

    def get_reverses(self, row: Any) -> str | None:
        return row.reverses.number if row.reverses else None


class WholeInvoiceShape(InvoiceShape):
    lines = LineShape(many=True, source="lines.all")


class SubscriptionShape(serializers.Serializer[Any]):
    substation = serializers.CharField(source="substation.public_id")
    plan = serializers.CharField(source="plan.code")
    interval = serializers.ChoiceField(choices=BillingInterval.choices)
    method = serializers.ChoiceField(choices=Method.choices)
    state = serializers.ChoiceField(choices=SubscriptionState.choices)
    standing = serializers.ChoiceField(
        choices=Standing.choices, source="substation.standing", help_text="How far an unpaid shop is restricted."
    )
    trial_ends_at = serializers.DateTimeField(allow_null=True)
    period_start = serializers.DateTimeField(allow_null=True)
    period_end = serializers.DateTimeField(
        allow_null=True, help_text="Until when it is paid; null for a plan without a price."
    )
    cancel_at_period_end = serializers.BooleanField()
    next_plan = serializers.SerializerMethodField(help_text="The plan from the next period on; null: the same.")
    due_since = serializers.DateTimeField(allow_null=True)
    due_minor = serializers.IntegerField(help_text="What is owed now, in minor units.")
    prepaid_minor = serializers.IntegerField()
    deposit_minor = serializers.IntegerField(help_text="Held for the shop.")
    currency = serializers.CharField(source="substation.currency")

    def get_next_plan(self, row: Subscription) -> str | None:
        return row.next_plan.code if row.next_plan else None


class Invoices(ApiView):
    scopes = {"GET": READ}

    @described(
        "Invoices", tag=BILLING, name="invoices_list", answer=InvoiceShape, query=InvoiceFilters, paged=True, scope=READ,
        errors=(404,),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked(request, InvoiceFilters)
        shop = tenants.substation(asked["substation"]) if "substation" in asked else None
        rows = bills.invoices(
            query=asked.get("q", ""), state=asked.get("state", ""), kind=asked.get("kind", ""),
            substation_id=shop.pk if shop else None,
        )  # fmt: skip
        return self.page(request, rows.select_related("reverses"), InvoiceShape)


class OneInvoice(ApiView):
    scopes = {"GET": READ}

    @described(
        "An invoice with its lines", tag=BILLING, name="invoices_read", answer=WholeInvoiceShape, scope=READ,
        errors=(404,), extra=(NUMBER,),
    )  # fmt: skip
    def get(self, request: Request, number: str) -> Response:
        found = bills.invoice(number)
        if found is None:
            raise services.InvoiceMissing(_("There is no such invoice."))
        return Response(WholeInvoiceShape(found).data)


class OneSubscription(ApiView):
    scopes = {"GET": READ}

    @described(
        "What a substation pays for its plan", tag=NETWORK, name="subscriptions_read", answer=SubscriptionShape,
        scope=READ, errors=(404,), extra=(SUBSTATION_ID,),
    )  # fmt: skip
    def get(self, request: Request, public_id: str) -> Response:
        shop = tenants.substation(public_id)
        row: Any = billing.subscription(shop.pk)
        if row is None:
            raise tenants.SubstationMissing(_("The shop was made before plans were billed."))
        seen = billing.overview(shop.pk)
        row.due_minor, row.prepaid_minor, row.deposit_minor = seen.due_minor, seen.prepaid_minor, seen.deposit_minor
        return Response(SubscriptionShape(row).data)
