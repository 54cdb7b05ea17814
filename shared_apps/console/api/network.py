"""Substations over the API: which there are, how far they are behind the library, and payment cases to look at."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.lib import clock
from kameng.web.actors import actor
from kameng.web.endpoint import ApiView
from kameng.web.idempotency import idempotent
from kameng.web.openapi import described, in_path
from shared_apps.receipts import selectors as receipts
from shared_apps.receipts.models import CaseKind, CaseState, PaymentCase, Resolution
from tenants import selectors as tenants
from tenants import services
from tenants.models import SyncFeed
from tenants.states import SubstationState, SupplyLevel

NETWORK, SYNC, CASES = "Substations", "Sync", "Payment cases"
SUBSTATION_ID = in_path("public_id", "The substation's id, or its address's slug.")


class SubstationFilters(serializers.Serializer[Any]):
    q = serializers.CharField(max_length=100, required=False, help_text="Words of name, address, mail or id.")
    state = serializers.ChoiceField(choices=SubstationState.choices, required=False)
    plan = serializers.CharField(max_length=20, required=False)


class SubstationShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    slug = serializers.CharField()
    name = serializers.CharField()
    url = serializers.CharField()
    plan = serializers.CharField(source="plan.code")
    supply_level = serializers.ChoiceField(choices=SupplyLevel.choices, source="plan.supply_level")
    state = serializers.ChoiceField(choices=SubstationState.choices)
    suspended_reason = serializers.CharField()
    currency = serializers.CharField()
    language = serializers.CharField()
    owner_email = serializers.CharField()
    owner_name = serializers.CharField()
    created_at = serializers.DateTimeField()
    live_at = serializers.DateTimeField(allow_null=True)


class SyncFilters(serializers.Serializer[Any]):
    substation = serializers.CharField(max_length=30, required=False, help_text="A substation's id or slug.")
    feed = serializers.ChoiceField(choices=SyncFeed.choices, required=False)
    failing = serializers.BooleanField(required=False, help_text="Feeds whose last run failed, or the others.")


class SyncShape(serializers.Serializer[Any]):
    substation = serializers.CharField(source="substation.public_id")
    slug = serializers.CharField(source="substation.slug")
    feed = serializers.ChoiceField(choices=SyncFeed.choices)
    ran_at = serializers.DateTimeField(allow_null=True)
    changed_at = serializers.DateTimeField(allow_null=True, help_text="When a run last changed something.")
    rows_changed = serializers.IntegerField(help_text="By that run.")
    duration_ms = serializers.IntegerField()
    error = serializers.CharField(help_text="What the last run failed of; empty when it did not.")


class RepeatBody(serializers.Serializer[Any]):
    full = serializers.BooleanField(
        required=False, default=False, help_text="Compare every row, whatever was fetched before."
    )


class RepeatShape(serializers.Serializer[Any]):
    substations = serializers.IntegerField(help_text="How many will fetch again.")


class CaseFilters(serializers.Serializer[Any]):
    q = serializers.CharField(max_length=60, required=False, help_text="An order's number or a case's id.")
    state = serializers.ChoiceField(choices=CaseState.choices, required=False)
    kind = serializers.ChoiceField(choices=CaseKind.choices, required=False)


class CaseShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    kind = serializers.ChoiceField(choices=CaseKind.choices)
    state = serializers.ChoiceField(choices=CaseState.choices)
    resolution = serializers.SerializerMethodField(help_text="Null until settled.")
    channel = serializers.CharField(source="receipt.channel")
    receipt = serializers.CharField(source="receipt.public_id")
    order_number = serializers.CharField()
    amount_minor = serializers.IntegerField()
    expected_minor = serializers.IntegerField(allow_null=True)
    currency = serializers.CharField()
    outward = serializers.BooleanField(help_text="The channel took the money from us.")
    opened_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.ChoiceField(choices=Resolution.choices, allow_null=True))
    def get_resolution(self, row: PaymentCase) -> str | None:
        return row.resolution or None


class Substations(ApiView):
    scopes = {"GET": "substations:read"}

    @described(
        "Substations", tag=NETWORK, name="substations_list", answer=SubstationShape, query=SubstationFilters,
        paged=True, scope="substations:read",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked(request, SubstationFilters)
        rows = tenants.substations(query=asked.get("q", ""), state=asked.get("state", ""), plan=asked.get("plan", ""))
        return self.page(request, rows, SubstationShape)


class OneSubstation(ApiView):
    scopes = {"GET": "substations:read"}

    @described(
        "A substation", tag=NETWORK, name="substations_read", answer=SubstationShape, scope="substations:read",
        errors=(404,), extra=(SUBSTATION_ID,),
    )  # fmt: skip
    def get(self, request: Request, public_id: str) -> Response:
        return Response(SubstationShape(tenants.substation(public_id)).data)


class Syncs(ApiView):
    scopes = {"GET": "sync:read"}

    @described(
        "How far the substations are", tag=SYNC, name="sync_list", answer=SyncShape, query=SyncFilters, paged=True,
        scope="sync:read", errors=(404,),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked(request, SyncFilters)
        substation = tenants.substation(asked["substation"]) if "substation" in asked else None
        rows = tenants.sync_states(substation.pk if substation else None)
        if "feed" in asked:
            rows = rows.filter(feed=asked["feed"])
        if "failing" in asked:
            rows = rows.exclude(error="") if asked["failing"] else rows.filter(error="")
        return self.page(request, rows, SyncShape, ordering="id")


class RepeatSync(ApiView):
    scopes = {"POST": "sync:write"}

    @described(
        "Sync a substation again", tag=SYNC, name="sync_repeat", body=RepeatBody, answer=RepeatShape, status=202,
        creates=True, scope="sync:write", errors=(404,), extra=(SUBSTATION_ID,),
        text="Done within seconds, by a worker.",
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, public_id: str) -> Response:
        full = self.sent(request, RepeatBody)["full"]
        count = services.repeat_sync(
            public_id=tenants.substation(public_id).public_id, full=full, by=actor(request), now=clock.utc_now()
        )
        return Response(RepeatShape({"substations": count}).data, status=202)


class Cases(ApiView):
    scopes = {"GET": "cases:read"}

    @described(
        "Payment cases", tag=CASES, name="cases_list", answer=CaseShape, query=CaseFilters, paged=True,
        scope="cases:read", text="Money that did not fit its order. Cases are settled in the console, with evidence.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked(request, CaseFilters)
        rows = receipts.cases(text=asked.get("q", ""), state=asked.get("state", ""), kind=asked.get("kind", ""))
        return self.page(request, rows, CaseShape)
