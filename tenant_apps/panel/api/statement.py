"""The shop's money over the API: opening balance, lines, closing balance of a period."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.lib import clock
from kameng.lib.errors import Invalid
from kameng.web.api import MAX_ID, CursorPagination
from kameng.web.endpoint import ApiView
from kameng.web.openapi import LIMIT, described
from tenant_apps.finance import selectors
from tenant_apps.finance.types import ACCOUNTS
from tenant_apps.shop.selectors import shop_settings

TAG = "Panel: statement"
READ = "statement:read"
DEFAULT_DAYS = 30
MAX_DAYS = 3 * 366  # The balances are summed over the whole period.


class StatementFilters(serializers.Serializer[Any]):
    since = serializers.DateField(required=False, help_text="First day, in the shop's time zone; 30 days by default.")
    until = serializers.DateField(required=False, help_text="Last day, included; today by default.")
    account = serializers.ChoiceField(choices=[(name, name) for name in ACCOUNTS], required=False)
    cursor = serializers.IntegerField(
        min_value=1, max_value=MAX_ID, required=False, help_text="Where to go on: taken from `next`."
    )


class PartShape(serializers.Serializer[Any]):
    part = serializers.CharField()
    amount_minor = serializers.IntegerField()


class StatementLineShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    transfer = serializers.CharField()
    account = serializers.CharField()
    kind = serializers.CharField()
    reference_type = serializers.CharField()
    reference = serializers.CharField(help_text="An order's number, where it is about one.")
    amount_minor = serializers.IntegerField(help_text="Positive: the shop is owed more.")
    balance_minor = serializers.IntegerField(help_text="After this line.")
    currency = serializers.CharField()
    parts = PartShape(many=True, help_text="What the transfer is made of.")
    event_at = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()


class StatementShape(serializers.Serializer[Any]):
    account = serializers.CharField(help_text="Empty for all of them.")
    since = serializers.DateTimeField()
    until = serializers.DateTimeField(help_text="Exclusive.")
    opening_minor = serializers.IntegerField()
    in_minor = serializers.IntegerField()
    out_minor = serializers.IntegerField(help_text="Zero or below: opening + in + out = closing.")
    closing_minor = serializers.IntegerField()
    line_count = serializers.IntegerField()
    recorded_to = serializers.DateTimeField(allow_null=True, help_text="The newest entry that has reached the shop.")
    next = serializers.URLField(allow_null=True, help_text="The next page, or null.")
    results = StatementLineShape(many=True, source="lines", help_text="One page of lines, newest first.")


class Statement(ApiView):
    scopes = {"GET": READ}

    @described(
        "The statement of a period", tag=TAG, name="panel_statement_read", answer=StatementShape,
        query=StatementFilters, extra=(LIMIT,), scope=READ,
        text="Opening balance and all lines of the period make the closing balance, whichever page is shown.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked(request, StatementFilters)
        zone = shop_settings().time_zone
        last = asked.get("until") or clock.utc_now().astimezone(ZoneInfo(zone)).date()
        first = asked.get("since") or last - timedelta(days=min(DEFAULT_DAYS, last.toordinal() - 1))
        if not 0 <= (last - first).days <= MAX_DAYS:
            raise Invalid(_("A statement covers at most three years, and ends after it begins."), field="since")
        if not 1970 <= first.year <= last.year <= 9000:
            raise Invalid(_("This day is out of reach."), field="until")
        since, until = selectors.period(since=first, until=last, zone=zone)
        limit = CursorPagination().get_page_size(request)
        found = selectors.statement(
            since=since, until=until, account=asked.get("account", ""), limit=limit + 1, before=asked.get("cursor")
        )
        lines, following = found.lines[:limit], None
        if len(found.lines) > limit:
            query = {**request.query_params.dict(), "since": first, "until": last, "cursor": lines[-1].id}
            following = request.build_absolute_uri(f"{request.path}?{urlencode(query)}")
        shown = {name: getattr(found, name) for name in found.__slots__}
        return Response(StatementShape({**shown, "lines": lines, "next": following}).data)
