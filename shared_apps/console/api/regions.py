"""Regions over the API: the tree, who holds what of it, and who asked about a city."""

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
from shared_apps.regions import selectors, services
from shared_apps.regions.models import Lead, Region, RegionGrant
from shared_apps.regions.states import LeadKind, LeadState, Level
from tenants import selectors as tenants

REGIONS, READ, WRITE, LEADS = "Regions", "regions:read", "regions:write", "leads:read"
GRANT_ID = in_path("public_id", "The grant's id.")


class RegionFilters(serializers.Serializer[Any]):
    q = serializers.CharField(max_length=60, required=False, help_text="Words of a name, in pinyin too, or a code.")
    # The name is a serializer's own as well; DRF takes declared fields off the class, so that only mypy sees the two meet.
    parent = serializers.CharField(  # type: ignore[assignment]
        max_length=6, required=False, help_text="The code of what they lie right in: CN, 440000, DE."
    )
    level = serializers.ChoiceField(choices=Level.choices, required=False)
    held = serializers.BooleanField(
        required=False, help_text="What is held now, or what is free; only what can be held."
    )


class RegionShape(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="GB/T 2260 in China, ISO 3166 elsewhere.")
    parent = serializers.SerializerMethodField(  # type: ignore[assignment]  # As in RegionFilters.
        help_text="The code of what it lies in; null for a country."
    )
    level = serializers.ChoiceField(choices=Level.choices)
    name_zh = serializers.CharField(help_text="Empty where Chinese has no name of its own.")
    name_en = serializers.CharField()
    holdable = serializers.BooleanField(help_text="Whether a substation may hold it.")
    held_by = serializers.SerializerMethodField(help_text="The substation that holds it now; null when it is free.")
    held_until = serializers.SerializerMethodField(help_text="The moment from which it is free again.")

    def get_parent(self, row: Region) -> str | None:
        return row.parent.code if row.parent else None

    def get_held_by(self, row: Any) -> str | None:
        return row.held_by[0].substation.public_id if row.held_by else None

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_held_until(self, row: Any) -> Any:
        return serializers.DateTimeField().to_representation(row.held_by[0].ends_at) if row.held_by else None


class GrantFilters(serializers.Serializer[Any]):
    q = serializers.CharField(max_length=60, required=False, help_text="Words of a region or shop, or a grant's id.")
    substation = serializers.CharField(max_length=30, required=False, help_text="A substation's id or slug.")
    region = serializers.CharField(max_length=6, required=False, help_text="A region's code.")
    when = serializers.ChoiceField(choices=("now", "later", "over"), required=False)


class GrantShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    region = serializers.CharField(source="region.code")
    substation = serializers.CharField(source="substation.public_id")
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(help_text="The first moment that is not part of it.")
    answer_days = serializers.IntegerField(help_text="So many days an offer waits for an answer.")
    note = serializers.CharField()
    granted_by = serializers.CharField()
    ended_at = serializers.DateTimeField(allow_null=True, help_text="When it was ended ahead of its time.")


class GrantBody(serializers.Serializer[Any]):
    region = serializers.CharField(max_length=6, help_text="A region's code that can be held.")
    substation = serializers.CharField(max_length=30, help_text="A substation's id or slug.")
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(help_text="The first moment that is not part of it; ten years later at most.")
    answer_days = serializers.IntegerField(min_value=1, max_value=30, required=False, default=3)
    note = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class LeadFilters(serializers.Serializer[Any]):
    q = serializers.CharField(
        max_length=60, required=False, help_text="Words of a contact, city or shop, or a lead's id."
    )
    state = serializers.ChoiceField(choices=LeadState.choices, required=False)
    kind = serializers.ChoiceField(choices=LeadKind.choices, required=False)
    region = serializers.CharField(
        max_length=6, required=False, help_text="The code of its region, or of one around it."
    )


class LeadShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    kind = serializers.ChoiceField(choices=LeadKind.choices)
    state = serializers.ChoiceField(choices=LeadState.choices)
    region = serializers.CharField(source="region.code")
    name = serializers.SerializerMethodField(help_text="Empty once it was removed.")
    phone = serializers.SerializerMethodField()
    email = serializers.SerializerMethodField()
    message = serializers.CharField()
    substation = serializers.SerializerMethodField(help_text="The shop that was opened; null for a question.")
    offered_to = serializers.SerializerMethodField(help_text="The substation that it was last offered to.")
    lapses_at = serializers.DateTimeField(allow_null=True)
    answered_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()

    def get_name(self, row: Lead) -> str:
        return selectors.contact(row).name

    def get_phone(self, row: Lead) -> str:
        return selectors.contact(row).phone

    def get_email(self, row: Lead) -> str:
        return selectors.contact(row).email

    def get_substation(self, row: Lead) -> str | None:
        return row.substation.public_id if row.substation else None

    def get_offered_to(self, row: Lead) -> str | None:
        return row.grant.substation.public_id if row.grant else None


class Regions(ApiView):
    scopes = {"GET": READ}

    @described(
        "Regions", tag=REGIONS, name="regions_list", answer=RegionShape, query=RegionFilters, paged=True, scope=READ,
        text="The tree of China and of everywhere else; `parent=CN` gives the provinces.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked(request, RegionFilters)
        rows = selectors.regions(
            query=asked.get("q", ""), parent=asked.get("parent", ""), level=asked.get("level", ""),
            held=asked.get("held"), at=clock.utc_now(),
        )  # fmt: skip
        return self.page(request, rows, RegionShape)


class Grants(ApiView):
    scopes = {"GET": READ, "POST": WRITE}

    @described(
        "Grants of regions", tag=REGIONS, name="region_grants_list", answer=GrantShape, query=GrantFilters, paged=True,
        scope=READ, errors=(404,),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked(request, GrantFilters)
        shop = tenants.substation(asked["substation"]) if "substation" in asked else None
        place = selectors.region(asked["region"]) if "region" in asked else None
        rows = selectors.grants(
            query=asked.get("q", ""), when=asked.get("when", ""), substation_id=shop.pk if shop else None,
            region_id=place.pk if place else None, at=clock.utc_now(),
        )  # fmt: skip
        return self.page(request, rows, GrantShape)

    @described(
        "Give a region to a substation", tag=REGIONS, name="region_grants_create", body=GrantBody, answer=GrantShape,
        status=201, creates=True, scope=WRITE, errors=(404, 409),
        text="Alone, for that time: 409 `region_held` says who has it until when.",
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        given = self.sent(request, GrantBody)
        made = services.make_grant(
            region_code=given["region"], substation_id=tenants.substation(given["substation"]).pk,
            starts_at=given["starts_at"], ends_at=given["ends_at"], answer_days=given["answer_days"],
            note=given["note"], by=actor(request), now=clock.utc_now(),
        )  # fmt: skip
        return Response(GrantShape(made).data, status=201)


class EndGrant(ApiView):
    scopes = {"POST": WRITE}

    @described(
        "End a grant", tag=REGIONS, name="region_grants_end", answer=GrantShape, scope=WRITE, creates=True,
        errors=(404, 409), extra=(GRANT_ID,), text="From now on; the time that it was held stays.",
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, public_id: str) -> Response:
        row: RegionGrant = services.end_grant(public_id=public_id, by=actor(request), now=clock.utc_now())
        return Response(GrantShape(row).data)


class Leads(ApiView):
    scopes = {"GET": LEADS}

    @described(
        "Leads", tag=REGIONS, name="leads_list", answer=LeadShape, query=LeadFilters, paged=True, scope=LEADS,
        text="Who opened a shop in a city, or asked about one, with their contact.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked(request, LeadFilters)
        rows = selectors.leads(
            query=asked.get("q", ""), state=asked.get("state", ""), kind=asked.get("kind", ""),
            region=asked.get("region", ""),
        )  # fmt: skip
        return self.page(request, rows, LeadShape)
