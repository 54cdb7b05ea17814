"""What the library's rows may hold: rules that forms, API and imports share. Pure but for the models' names."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from kameng.lib import money
from kameng.lib.tabular import cells
from kameng.lib.words import Sentence
from shared_apps.library.models import Brand, Category, Product, Sku

PRICES = frozenset({"face_value", "suggested", "floor", "ceiling"})
EDITABLE: dict[type[Model], frozenset[str]] = {
    Category: frozenset({"slug", "name_zh", "name_en", "parent_id", "icon", "sort", "active"}),
    Brand: frozenset({"slug", "name_zh", "name_en", "colour"}),
    Product: frozenset(
        {
            "slug", "name_zh", "name_en", "category_id", "brand_id", "kind", "delivery", "summary_zh", "summary_en",
            "description_zh", "description_en", "usage_zh", "usage_en", "buyer_fields", "picture", "tags", "sort",
            "active",
        }
    ),
    Sku: frozenset(
        {
            "code", "name_zh", "name_en", "product_id", "currency", "stock_policy", "low_stock_at", "sort", "active",
            *PRICES,
        }
    ),
}  # fmt: skip
MULTILINE = frozenset({"description_zh", "description_en", "usage_zh", "usage_en"})
BUYER_FIELD_KINDS = ("text", "phone", "email", "choice")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,29}", re.ASCII)
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}", re.ASCII)
MAX_BUYER_FIELDS = 10


def label(row: Model) -> str:
    """How an audit record names a row."""
    return str(getattr(row, "code", "") or getattr(row, "slug", "") or row.pk)


def plain(value: Any) -> Any:
    """JSON-safe."""
    return str(value) if isinstance(value, Decimal) else value


def row_problem(row: Model) -> tuple[str, Sentence] | None:
    """A field and what is wrong with it, for what Django's own checks don't see."""
    if isinstance(row, Sku):
        if row.currency not in money.EXPONENTS:
            return "currency", _("We don't sell in this currency.")
        return bounds_problem(row.floor, row.ceiling)
    if isinstance(row, Brand) and row.colour and not _COLOUR.fullmatch(row.colour):
        return "colour", _("A colour is written like #1A2B3C.")
    return None


def bounds_problem(floor: Decimal | None, ceiling: Decimal | None) -> tuple[str, Sentence] | None:
    """The floor may not lie above the ceiling."""
    if floor is not None and ceiling is not None and floor > ceiling:
        return "floor", _("The floor lies above the ceiling.")
    return None


def colour(cell: str) -> str:
    """A cell with a colour. Raises CellRefused."""
    value = cells.trimmed(cell)
    if not _COLOUR.fullmatch(value):
        raise cells.CellRefused(_("This is not a colour."), _("Write it like #1A2B3C."), "cell_not_a_colour")
    return value.upper()


def currency(cell: str) -> str:
    """A cell with a currency's code. Raises CellRefused."""
    value = cells.trimmed(cell).upper()
    if value not in money.EXPONENTS:
        cure = _("Write CNY, or another three-letter code of a currency that we sell in.")
        raise cells.CellRefused(_("We don't sell in this currency."), cure, "cell_unknown_currency")
    return value


def buyer_fields(value: str | list[Any]) -> list[dict[str, Any]]:
    """What the buyer must fill in, from JSON text or as parsed, checked and with every key present.

    Raises CellRefused.
    """
    raw = cells.json_value(value) if isinstance(value, str) else value
    if not isinstance(raw, list) or len(raw) > MAX_BUYER_FIELDS:
        raise _fields_refused(_("The buyer's fields are a list of at most ten."))
    out = []
    for item in raw:
        if not isinstance(item, dict) or not _KEY.fullmatch(str(item.get("key", ""))):
            raise _fields_refused(_("Each field needs a key of small letters, digits and underscores."))
        if item.get("kind", "text") not in BUYER_FIELD_KINDS:
            raise _fields_refused(_("A field's kind is text, phone, email or choice."))
        if not str(item.get("label_zh", "")).strip():
            raise _fields_refused(_("Each field needs a label."))
        choices = item.get("choices") or []
        if item.get("kind") == "choice" and not choices:
            raise _fields_refused(_("A choice needs its choices."))
        out.append(
            {
                "key": item["key"],
                "label_zh": str(item["label_zh"]).strip()[:60],
                "label_en": str(item.get("label_en", "")).strip()[:60],
                "kind": item.get("kind", "text"),
                "required": bool(item.get("required", True)),
                "choices": [choice if isinstance(choice, dict) else str(choice)[:60] for choice in choices][:100],
            }
        )
    if len({field["key"] for field in out}) != len(out):
        raise _fields_refused(_("Two fields have the same key."))
    return out


def _fields_refused(problem: Sentence) -> cells.CellRefused:
    example = json.dumps(
        [{"key": "account", "label_zh": "充值账号", "kind": "text", "required": True}], ensure_ascii=False
    )
    return cells.CellRefused(problem, example, "cell_not_buyer_fields")
