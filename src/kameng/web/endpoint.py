"""The base of all endpoints: what is sent is checked here before anything reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework import exceptions, negotiation, parsers, serializers, views
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.lib.errors import Invalid, Missing
from kameng.web.api import MAX_ID, CursorPagination

# -- What is sent.


class JsonParser(parsers.JSONParser):
    """JSON that the rest can rely on: bounded, not endlessly nested, and of characters that can be stored."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise RequestDataTooBig("A body above DATA_UPLOAD_MAX_MEMORY_SIZE.")
        try:
            data = json.loads(raw.decode(), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise exceptions.ParseError(_("This is not JSON.")) from error
        if b"\\u" in raw:  # Only an escape can bring such a character into a JSON text that is UTF-8.
            _refuse_unstorable(data)
        return data


def _no_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are no JSON.


def _refuse_unstorable(data: Any, path: str = "") -> None:
    """Postgres stores neither NUL nor half a surrogate pair. Raises: Invalid, with the path to it."""
    if isinstance(data, str):
        if unstorable(data):
            raise Invalid(_("This holds a character that can't be stored."), code="bad_character", field=path)
    elif isinstance(data, list):
        for position, item in enumerate(data):
            _refuse_unstorable(item, f"{path}.{position}".strip("."))
    elif isinstance(data, dict):
        for name, item in data.items():
            _refuse_unstorable(name, path)
            _refuse_unstorable(item, f"{path}.{name}".strip("."))


def unstorable(text: str) -> bool:
    return "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text)


class AlwaysJson(negotiation.BaseContentNegotiation):
    """There is one form of answer, whatever the reader says that it likes."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        return negotiation.DefaultContentNegotiation().select_parser(request, parsers)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class ApiView(views.APIView):
    """The base of all endpoints.

    Attributes:
        scopes: Method → scope that a token needs; None opens it to everybody, a missing method stays shut.
        about_money: Of the people who logged in, the owner alone.
    """

    scopes: ClassVar[dict[str, str | None]] = {}
    about_money = False
    metadata_class = None
    parser_classes = (JsonParser,)
    content_negotiation_class = AlwaysJson

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        for value in kwargs.values():
            if unstorable(str(value)) or (isinstance(value, int) and value > MAX_ID):
                raise Missing(_("There is nothing here."))
        for name, values in request.query_params.lists():
            if unstorable(name) or any(unstorable(value) for value in values):
                raise Invalid(_("This holds a character that can't be stored."), code="bad_character", field=name)
        with in_transaction():  # A view that opens its own has none yet, and who asks stands in the database.
            super().initial(request, *args, **kwargs)

    def sent(self, request: Request, shape: type[serializers.Serializer[Any]], **options: Any) -> dict[str, Any]:
        """The body, checked. Raises ValidationError: 422 with the field's name."""
        return _checked(shape(data=request.data, **options))

    def asked(self, request: Request, shape: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The query, checked. A plain dict: in a QueryDict an absent boolean would count as false."""
        return _checked(shape(data=request.query_params.dict()))

    def page(
        self,
        request: Request,
        rows: QuerySet[Any],
        shape: type[serializers.Serializer[Any]],
        *,
        ordering: str = "-id",
        prepare: Callable[[list[Any]], list[Any]] | None = None,
        context: dict[str, Any] | None = None,
    ) -> Response:
        """One page of `rows`; `prepare` turns its rows into what `shape` shows."""
        paginator = CursorPagination()
        paginator.ordering = ordering
        found = list(paginator.paginate_queryset(rows, request, view=self) or ())
        shown = prepare(found) if prepare is not None else found
        return paginator.get_paginated_response(shape(shown, many=True, context=context or {}).data)


def _checked(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def in_transaction() -> AbstractContextManager[Any]:
    """The request's transaction, or a short one of its own where the view opens them itself."""
    return nullcontext() if connection.in_atomic_block else transaction.atomic()


class NothingHere(ApiView):
    """An address below the API's that means nothing: the API's own 404, not a page."""

    schema = None
    scopes: ClassVar[dict[str, str | None]] = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Missing(_("There is nothing here."))
