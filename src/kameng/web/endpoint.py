"""The base of all endpoints: what is sent is checked here before anything reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from rest_framework import exceptions, negotiation, parsers, serializers, views
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.lib.errors import DomainError, Invalid, Missing
from kameng.web import strict
from kameng.web.api import MAX_ID, CursorPagination, with_etag
from kameng.web.openapi import contract_of

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


EVERYWHERE = ("lang",)  # What the middleware reads of any address.


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
        permissions: Method → permission of `accounts.catalogue`, where it is another than its scope stands for.
    """

    scopes: ClassVar[dict[str, str | None]] = {}
    permissions: ClassVar[dict[str, str]] = {}
    metadata_class = None
    format_kwarg = None
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    parser_classes = (JsonParser,)
    content_negotiation_class = AlwaysJson

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Whether the request is one at all, who asks, how often, and whether they may; in this order.

        Who guesses at tokens uses up the allowance of their address: it is counted before anything is refused.
        """
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        if not hasattr(self, str(request.method).lower()):
            raise exceptions.MethodNotAllowed(str(request.method))
        for value in kwargs.values():
            if unstorable(str(value)) or (isinstance(value, int) and value > MAX_ID):
                raise Missing(_("There is nothing here."))
        with in_transaction():  # A view that opens its own has none yet, and who asks stands in the database.
            try:
                self.perform_authentication(request)
            except exceptions.AuthenticationFailed:
                self.check_throttles(request)
                raise
            self.check_throttles(request)
            self.check_permissions(request)
        self._check_query(request)

    def _check_query(self, request: Request) -> None:
        """Raises: Invalid, for what can't be stored and for a name that would be passed over in silence."""
        for name, values in request.query_params.lists():
            if unstorable(name) or any(unstorable(value) for value in values):
                raise Invalid(_("This holds a character that can't be stored."), code="bad_character", field=name)
        contract = contract_of(self, request.method)
        if contract is not None:
            strict.check_names([*contract.query, *EVERYWHERE], request.query_params.dict())

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Reads can be polled; what else is answered is for this reader and this moment."""
        contract = contract_of(self, request.method)
        if contract is not None and contract.polled and response.status_code == 200:
            response = with_etag(request, response)
        response.headers.setdefault("Cache-Control", "no-store")
        patch_vary_headers(response, ("Accept-Language", "Authorization"))
        return super().finalize_response(request, response, *args, **kwargs)

    def sent(self, request: Request, shape: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The body, checked. Raises Invalid and ValidationError: 422 with the field's name."""
        serializer = shape(data=request.data)
        strict.check_body(serializer.fields, request.data)
        return _checked(serializer)

    def asked(self, request: Request, shape: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The query, checked. A plain dict: in a QueryDict an absent boolean would count as false."""
        serializer = shape(data=request.query_params.dict())
        strict.check_query(serializer.fields, request.query_params.dict())
        return _checked(serializer)

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


@contextmanager
def naming(name: Callable[[DomainError], str]) -> Iterator[None]:
    """Let a service's refusal name its field as the API does: `name` answers the new name, or "" to leave it."""
    try:
        yield
    except DomainError as error:
        error.field = name(error) or error.field
        raise


def in_transaction() -> AbstractContextManager[Any]:
    """The request's transaction, or a short one of its own where the view opens them itself."""
    return nullcontext() if connection.in_atomic_block else transaction.atomic()


class NothingHere(ApiView):
    """An address below the API's that means nothing: the API's own 404, not a page."""

    schema = None
    scopes: ClassVar[dict[str, str | None]] = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if not request.path.endswith("/"):
            raise Missing(_("There is nothing here. The addresses of the API end with a slash."))
        raise Missing(_("There is nothing here."))
