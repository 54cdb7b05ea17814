"""What a program sends is of the documented type and name, or is refused: nothing is guessed at, nothing is ignored.

REST framework's fields are made for forms: `"1_000"` is a thousand to them, `7` a text, `"yes"` a boolean, and a name
that they don't know is passed over. A misspelled price would change nothing and say 200.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from kameng.lib.errors import Invalid

MAX_NAME = 60  # Of a name that is told back.
WHOLE = re.compile(r"-?[0-9]{1,20}")
DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,12})?(Z|[+-][0-9]{2}:[0-9]{2})", re.I
)
Fields = Mapping[str, serializers.Field[Any, Any, Any, Any]]


def check_body(fields: Fields, data: Any, path: str = "") -> None:
    """Names and JSON types of a body, all the way down. Ranges and required names are the serializer's to check.

    Raises: Invalid, with the dotted path of the first that is none.
    """
    if not isinstance(data, Mapping):
        return  # The serializer says so.
    check_names(fields, data, path)
    for name, value in data.items():
        _check_value(fields[name], value, _join(path, name))


def check_query(fields: Fields, data: Mapping[str, str]) -> None:
    """The values of a query, which are all text. Raises: Invalid."""
    for name, text in data.items():
        if name in fields:
            _check_text(fields[name], text, name)


def check_names(known: Any, data: Mapping[str, Any], path: str = "") -> None:
    """Raises: Invalid, for the first name that is not known, with the one that may have been meant."""
    unknown = next((name for name in data if name not in known), None)
    if unknown is None:
        return
    near = difflib.get_close_matches(unknown[:MAX_NAME], list(known), n=1)
    if near:
        message = _("There is no “%(name)s” here. Do you mean “%(near)s”?")
    else:
        message = _("There is no “%(name)s” here. Take it out, or look its name up in the contract.")
    words = {"name": unknown[:MAX_NAME], "near": near[0] if near else ""}
    raise Invalid(message % words, code="unknown_field", field=_join(path, unknown[:MAX_NAME]))


def _check_value(field: Any, value: Any, path: str) -> None:
    """One value of a body by its JSON type; null is the serializer's to allow."""
    if value is None:
        return
    if isinstance(field, serializers.BooleanField):
        _want(isinstance(value, bool), _("Send true or false, without quotes."), path)
    elif isinstance(field, serializers.IntegerField):
        _want(type(value) is int, _("Send a whole number, without quotes and without a point."), path)
    elif isinstance(field, serializers.DecimalField):
        right = isinstance(value, str) and DECIMAL.fullmatch(value) is not None
        _want(right, _('Send an amount as text with a point: "12.50".'), path)
    elif isinstance(field, serializers.ListField):
        _want(isinstance(value, list), _("Send a list: […]."), path)
        for position, item in enumerate(value):
            _check_value(field.child, item, _join(path, str(position)))
    elif isinstance(field, serializers.DictField):
        _want(isinstance(value, dict), _("Send an object: {…}."), path)
        for name, item in value.items():
            _check_value(field.child, item, _join(path, name[:MAX_NAME]))
    elif isinstance(field, serializers.Serializer):
        _want(isinstance(value, dict), _("Send an object: {…}."), path)
        check_body(field.fields, value, path)
    else:
        _want(isinstance(value, str), _("Send a text, in quotes."), path)
        _check_text(field, value, path)


def _check_text(field: Any, text: str, path: str) -> None:
    """A value that came as text: of a query, or a moment of a body."""
    if isinstance(field, serializers.BooleanField):
        _want(text in ("true", "false"), _("Send true or false."), path)
    elif isinstance(field, serializers.IntegerField):
        _want(WHOLE.fullmatch(text) is not None, _("Send a whole number in digits: 12."), path)
    elif isinstance(field, serializers.DecimalField):
        _want(DECIMAL.fullmatch(text) is not None, _("Send an amount with a point: 12.50."), path)
    elif isinstance(field, serializers.DateTimeField):
        message = _("Send a moment with its zone: 2026-01-31T08:00:00Z or …+08:00 (in an address, + is written %2B).")
        _want(MOMENT.fullmatch(text) is not None, message, path)
    elif isinstance(field, serializers.DateField):
        _want(DAY.fullmatch(text) is not None, _("Send a day: 2026-01-31."), path)


def _want(right: bool, message: str, path: str) -> None:
    if not right:
        raise Invalid(message, field=path)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}".strip(".")
