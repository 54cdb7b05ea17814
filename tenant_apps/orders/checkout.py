"""What a buyer typed, checked and brought into one form. Pure: no database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from kameng.lib import mailboxes

MAX_QUANTITY = 100  # Of one SKU in one order.
MAX_LINES = 20
MAX_FIELD_LENGTH = 200
LOOKUP_LENGTHS = (6, 64)
_DIGITS = re.compile(r"^\+?\d{5,15}$")  # QQ numbers have 5 to 12 digits, phone numbers up to 15 (E.164).
_PHONE = re.compile(r"^\+?\d{6,15}$")


class FieldProblem(ValueError):
    """`field` and a translatable `message`; the service turns it into its own refusal."""

    def __init__(self, field: str, message: object) -> None:
        super().__init__(field)
        self.field = field
        self.message = message


def merged_quantities(lines: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Quantities by SKU, the same SKU's lines added up; in the order of the SKU ids."""
    wanted: dict[int, int] = {}
    for sku_id, quantity in lines:
        wanted[sku_id] = wanted.get(sku_id, 0) + quantity
    return dict(sorted(wanted.items()))


def clean_contact(text: str) -> str:
    """An email address, a phone or a QQ number, as it is kept. Raises FieldProblem."""
    contact = text.strip()
    if "@" in contact:
        if not mailboxes.is_one(contact):
            raise FieldProblem("contact", _("This email address can't be used."))
        name, _at, host = contact.rpartition("@")
        contact = f"{name}@{host.lower()}"
    else:
        contact = re.sub(r"[\s\-()]", "", contact)
        if not _DIGITS.match(contact):
            raise FieldProblem("contact", _("Please give an email address, a phone number or a QQ number."))
    if len(contact) > 120:
        raise FieldProblem("contact", _("This is too long."))
    return contact


def clean_lookup_secret(text: str) -> str:
    """The query password of the buyer's choice. Raises FieldProblem."""
    secret = text.strip()
    if not LOOKUP_LENGTHS[0] <= len(secret) <= LOOKUP_LENGTHS[1]:
        raise FieldProblem("lookup_secret", _("The query password has 6 to 64 characters."))
    return secret


def clean_buyer_fields(wanted: Sequence[Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, str]:
    """The fields that the ordered products ask for, by key; others are dropped. Raises FieldProblem."""
    clean: dict[str, str] = {}
    for field in wanted:
        key = str(field["key"])
        value = " ".join(str(given.get(key) or "").split())
        problem = _problem_of(field, value)
        if problem is not None:
            raise FieldProblem(f"buyer_fields.{key}", problem)
        if value:
            clean[key] = value
    return clean


def _problem_of(field: Mapping[str, Any], value: str) -> object | None:
    if not value:
        return _("Please fill this in.") if field.get("required", True) else None
    if len(value) > MAX_FIELD_LENGTH:
        return _("This is too long.")
    kind = field.get("kind", "text")
    if kind == "choice" and value not in _choices(field):
        return _("Please choose one of the list.")
    if kind == "phone" and not _PHONE.match(re.sub(r"[\s\-()]", "", value)):
        return _("This phone number can't be used.")
    if kind == "email" and not mailboxes.is_one(value):
        return _("This email address can't be used.")
    return None


def _choices(field: Mapping[str, Any]) -> set[str]:
    """Choices are plain texts, or objects with a `value`."""
    return {str(item["value"] if isinstance(item, Mapping) else item) for item in field.get("choices") or ()}
