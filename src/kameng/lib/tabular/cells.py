"""From the text of a cell to a value: each parser raises CellRefused with the problem and its cure."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy as _

from kameng.lib import money
from kameng.lib.words import Sentence, worded

CellParser = Callable[[str], Any]

MAX_UNIT_PRICE = Decimal(1_000_000)  # Ten times the dearest thing of the trade; above it, a column has slipped.
LIST_SEPARATORS = re.compile(r"[;；、|\n]")
TRUE = frozenset({"1", "yes", "y", "true", "on", "是", "有", "对", "√", "开"})
FALSE = frozenset({"0", "no", "n", "false", "off", "否", "无", "错", "×", "关"})
_WHITE = "".join(
    chr(point) for point in (*range(0x20), 0x7F, 0x85, 0xA0, 0x1680, *range(0x2000, 0x2010), *range(0x2028, 0x2030))
)
BLANKS = _WHITE + " \u205f\u2060\u3000\ufeff\u00ad\u180e"
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]+)?(?:e[+-]?[0-9]{1,3})?", re.ASCII | re.IGNORECASE
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # All but tab and line break.
_SLUG_CODE = re.compile(r"[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?", re.ASCII)


class CellRefused(ValueError):
    """A cell that can't be what its column says. `problem` and `cure` are lazy sentences."""

    def __init__(self, problem: Sentence, cure: Sentence, code: str = "cell_invalid") -> None:
        super().__init__(code)
        self.problem = problem
        self.cure = cure
        self.code = code


def trimmed(cell: str) -> str:
    """Without white space at its ends, also the kinds that can't be seen."""
    return cell.strip(BLANKS)


def raw(cell: str) -> str:
    """The cell as it is."""
    return cell


def text(max_length: int, *, multiline: bool = False) -> CellParser:
    """Text of at most `max_length` characters, on one line unless `multiline`."""

    def parse(cell: str) -> str:
        value = trimmed(cell).replace("\r\n", "\n").replace("\r", "\n")
        if len(value) > max_length:
            problem = worded(
                _("The text has %(length)s characters; the most is %(max)s."), length=len(value), max=max_length
            )
            raise CellRefused(problem, _("Shorten it."), "cell_too_long")
        if not multiline and "\n" in value:
            raise CellRefused(_("The text has a line break."), _("Write it on one line."), "cell_line_break")
        if _CONTROL.search(value):
            cure = _("Type the cell again by hand.")
            raise CellRefused(_("The text has an invisible control character."), cure, "cell_control_character")
        return value

    return parse


def number_text(cell: str) -> str:
    """A number as typed, made plain: full-width digits, a currency sign, 元 and thousands commas are taken off.

    Raises CellRefused for what is no number; also for `12,50`, which one reader takes for 12.5 and another for 1250.
    """
    plain = trimmed(unicodedata.normalize("NFKC", cell)).removeprefix("RMB").removesuffix("元").lstrip("¥￥$").strip()
    if not _NUMBER.fullmatch(plain):
        raise CellRefused(
            _("This is not a number."), _("Write digits with a point, such as 12.50."), "cell_not_a_number"
        )
    return plain.replace(",", "")


def unit_price(*, maximum: Decimal = MAX_UNIT_PRICE, zero: bool = False) -> CellParser:
    """A price of one piece to Decimal with four places, above 0 (or from 0) up to `maximum`."""

    def parse(cell: str) -> Decimal:
        plain = number_text(cell)
        try:
            value = money.parse_unit(plain)
        except ValueError:
            problem = _("A price has at most four places after the point.")
            raise CellRefused(problem, _("Round it."), "price_too_fine") from None
        if value < 0:
            raise CellRefused(_("A price can't be negative."), _("Write the amount without a minus."), "price_negative")
        if value == 0 and not zero:
            raise CellRefused(_("A price can't be zero."), _("Write the price of one piece."), "price_zero")
        if value > maximum:
            too_high = worded(_("The price is above %(max)s."), max=f"{maximum:,f}")
            raise CellRefused(too_high, _("See whether a column has slipped or a point is missing."), "price_absurd")
        return value

    return parse


def integer(minimum: int = 0, maximum: int = 1_000_000_000) -> CellParser:
    """A whole number within bounds; `12.0`, as spreadsheets write it, is one."""

    def parse(cell: str) -> int:
        value = Decimal(number_text(cell))
        if abs(value) > 10**18 or value != value.to_integral_value():
            raise CellRefused(_("This is not a whole number."), _("Write it without a fraction."), "cell_not_whole")
        if not minimum <= value <= maximum:
            problem = worded(_("The number is not within %(min)s and %(max)s."), min=minimum, max=maximum)
            raise CellRefused(problem, _("Correct the number."), "cell_out_of_bounds")
        return int(value)

    return parse


def choice(names: Mapping[str, tuple[str, ...]]) -> CellParser:
    """One of a few values, each also by its aliases, without regard to case: {"MANUAL": ("by hand", "人工")}."""
    known = {_folded(alias): value for value, aliases in names.items() for alias in (value, *aliases)}

    def parse(cell: str) -> str:
        try:
            return known[_folded(cell)]
        except KeyError:
            cure = worded(_("Use one of: %(values)s."), values=", ".join(names))
            raise CellRefused(_("This is not one of the known values."), cure, "cell_unknown_value") from None

    return parse


def boolean(cell: str) -> bool:
    """是/否, yes/no, true/false, 1/0."""
    value = _folded(cell)
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise CellRefused(_("This is neither yes nor no."), _("Write yes or no (是 or 否, 1 or 0)."), "cell_not_boolean")


def list_of(item: CellParser, *, max_items: int = 50) -> CellParser:
    """Items parted by `;`, `；`, `、`, `|` or line breaks; blank ones are left out, each is parsed by `item`."""

    def parse(cell: str) -> list[Any]:
        values = [item(trimmed(part)) for part in LIST_SEPARATORS.split(cell) if trimmed(part)]
        if len(values) > max_items:
            problem = worded(
                _("The list has %(count)s entries; the most is %(max)s."), count=len(values), max=max_items
            )
            raise CellRefused(problem, _("Leave some out."), "cell_too_many")
        return values

    return parse


def mapping(cell: str) -> dict[str, Any]:
    """A JSON object, or the shorter `name=value; name=value` that people can type."""
    value = trimmed(cell)
    if not value.startswith("{"):
        pairs = [trimmed(part).partition("=") for part in LIST_SEPARATORS.split(value) if trimmed(part)]
        if any(not separator or not name.strip() for name, separator, _value in pairs):
            cure = _('Write name=value; name=value, or a JSON object such as {"name": "value"}.')
            raise CellRefused(_("This is not a list of names and values."), cure, "cell_not_a_mapping")
        return {name.strip(): content.strip() for name, _separator, content in pairs}
    parsed = json_value(value)
    assert isinstance(parsed, dict)  # It began with a brace.
    return parsed


def json_value(cell: str) -> Any:
    """Any JSON; NaN and Infinity, which Postgres would not store, are refused."""
    try:
        return json.loads(trimmed(cell), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise CellRefused(
            _("This is not JSON."), _("Check brackets, commas and straight quotation marks."), "cell_not_json"
        ) from None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def slug_code(max_length: int = 64) -> CellParser:
    """A code such as STEAM-CN-100: capitals, digits, hyphen, dot and underscore; small letters are made capitals."""

    def parse(cell: str) -> str:
        value = trimmed(unicodedata.normalize("NFKC", cell)).upper()
        if len(value) > max_length:
            problem = worded(
                _("The text has %(length)s characters; the most is %(max)s."), length=len(value), max=max_length
            )
            raise CellRefused(problem, _("Shorten it."), "cell_too_long")
        if not _SLUG_CODE.fullmatch(value):
            problem = _("A code has letters A–Z, digits and hyphens only.")
            raise CellRefused(problem, _("Write it like STEAM-CN-100."), "cell_not_a_code")
        return value

    return parse


def slug(max_length: int = 80) -> CellParser:
    """As `slug_code`, in small letters: steam-wallet-cn."""
    code = slug_code(max_length)

    def parse(cell: str) -> str:
        try:
            return str(code(cell)).lower()
        except CellRefused as refused:
            if refused.code != "cell_not_a_code":
                raise
            problem = _("An address has small letters a–z, digits and hyphens only.")
            raise CellRefused(problem, _("Write it like steam-wallet-cn."), "cell_not_a_slug") from None

    return parse


def _folded(cell: str) -> str:
    return trimmed(unicodedata.normalize("NFKC", cell)).casefold()
