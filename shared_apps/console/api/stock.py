"""Stock over the API: levels as of the last count, batches, and codes in. Codes never come out of it."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.lib import clock
from kameng.web.actors import actor
from kameng.web.endpoint import ApiView
from kameng.web.idempotency import idempotent
from kameng.web.openapi import described
from shared_apps.console.selectors import shelves
from shared_apps.library import selectors as library
from shared_apps.library.models import StockPolicy
from shared_apps.stock import services as stock

TAG = "Stock"
READ, WRITE = "stock:read", "stock:write"
STATES = (("OUT", "Sold out"), ("LOW", "Few left"), ("IN_STOCK", "In stock"))
# In front of the codes: a line that counts as blank, so that no code is taken for the heading of a column.
NO_HEADING = "\u200b"
MAX_CODES = 10_000  # Below the limit of a body; a file of a million goes through the console or the command line.


class LevelFilters(serializers.Serializer[Any]):
    q = serializers.CharField(max_length=100, required=False, help_text="Words of the SKU's code or names.")
    state = serializers.ChoiceField(choices=STATES, required=False)
    policy = serializers.ChoiceField(choices=StockPolicy.choices, required=False)


class LevelShape(serializers.Serializer[Any]):
    sku = serializers.CharField(source="code")
    product = serializers.CharField(source="product.slug")
    name_zh = serializers.CharField()
    name_en = serializers.CharField()
    stock_policy = serializers.ChoiceField(choices=StockPolicy.choices)
    available = serializers.IntegerField(allow_null=True, help_text="As of `counted_at`; null where never counted.")
    state = serializers.ChoiceField(choices=STATES, source="level_state")
    low_stock_at = serializers.IntegerField()
    counted_at = serializers.DateTimeField(allow_null=True)
    active = serializers.BooleanField()


class BatchFilters(serializers.Serializer[Any]):
    q = serializers.CharField(max_length=100, required=False, help_text="A batch's id; words of SKU, source or note.")
    sku = serializers.CharField(max_length=60, required=False)


class BatchShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    sku = serializers.CharField(source="sku_code", allow_null=True)
    source = serializers.CharField()  # type: ignore[assignment]
    note = serializers.CharField()
    imported = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    rejected = serializers.IntegerField()
    by = serializers.CharField()
    created_at = serializers.DateTimeField()


class CodesBody(serializers.Serializer[Any]):
    sku = serializers.CharField(max_length=60)
    codes = serializers.ListField(
        child=serializers.CharField(max_length=4096),
        min_length=1,
        max_length=MAX_CODES,
        help_text="A card number and its password are one code: `number----password`.",
    )
    note = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    dry_run = serializers.BooleanField(required=False, default=False, help_text="Count and report, write nothing.")

    def validate_codes(self, codes: list[str]) -> list[str]:
        for position, code in enumerate(codes):
            if "\n" in code or "\r" in code:  # It would become two.
                raise serializers.ValidationError({str(position): _("A code is one line.")})
        return codes


class ProblemShape(serializers.Serializer[Any]):
    position = serializers.IntegerField(help_text="Of the code in the list that was sent, from 0.")
    code = serializers.CharField(help_text="What is wrong, for programs. Never the code itself.")
    problem = serializers.CharField()
    cure = serializers.CharField()


class ImportShape(serializers.Serializer[Any]):
    batch = serializers.CharField(allow_null=True, help_text="The batch's id; null in a dry run.")
    imported = serializers.IntegerField()
    repeated = serializers.IntegerField(help_text="Codes that stood in the list before.")
    in_stock_already = serializers.IntegerField()
    rejected = serializers.IntegerField()
    problems = ProblemShape(many=True, help_text="The first hundred.")
    problems_total = serializers.IntegerField()


class Levels(ApiView):
    scopes = {"GET": READ}

    @described(
        "Stock of each SKU", tag=TAG, name="stock_levels_list", answer=LevelShape, query=LevelFilters, paged=True,
        scope=READ, text="As of the last count, some seconds ago; no sale waits for it.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked(request, LevelFilters)
        rows = shelves.levels(query=asked.get("q", ""), state=asked.get("state", ""), policy=asked.get("policy", ""))
        return self.page(request, rows, LevelShape, ordering="id")


class Batches(ApiView):
    scopes = {"GET": READ, "POST": WRITE}

    @described(
        "Batches of codes", tag=TAG, name="stock_batches_list", answer=BatchShape, query=BatchFilters, paged=True,
        scope=READ, errors=(404,),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked(request, BatchFilters)
        sku = library.sku_by_code(asked["sku"]) if "sku" in asked else None
        return self.page(request, shelves.batches(query=asked.get("q", ""), sku_id=sku.pk if sku else None), BatchShape)

    @described(
        "Bring codes in", tag=TAG, name="stock_batches_create", body=CodesBody, answer=ImportShape, status=201,
        creates=True, scope=WRITE, errors=(404,),
        text="Encrypted at once. Doubles are found within the list and against the stock, and left out. "
        "No answer and no log ever holds a code.",
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        data, now = self.sent(request, CodesBody), clock.utc_now()
        sku = library.sku_by_code(data["sku"])
        done = stock.import_codes(
            sku=sku, stream="\n".join([NO_HEADING, *data["codes"]]), by=actor(request), now=now, note=data["note"],
            dry_run=data["dry_run"],
        )  # fmt: skip
        if not data["dry_run"]:
            stock.count_now(sku_ids=[sku.pk], now=now)
        problems = [
            {"position": error.row - 2, "code": error.code, "problem": str(error.problem), "cure": str(error.cure)}
            for error in done.problems[:100]
        ]
        answer = {
            "batch": done.batch or None, "imported": done.imported, "repeated": done.repeated_in_file,
            "in_stock_already": done.in_stock_already, "rejected": done.rejected, "problems": problems,
            "problems_total": done.problems_total,
        }  # fmt: skip
        return Response(ImportShape(answer).data, status=201)
