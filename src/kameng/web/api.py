"""What every endpoint shares: who asks, what they may, how often, how it fails, how it pages and is polled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions, negotiation, pagination, parsers, permissions, serializers, throttling, views
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.accounts import tokens
from kameng.accounts.models import Role, User
from kameng.lib.errors import DomainError, Invalid, Missing
from kameng.web import cachekeys
from kameng.web.errors import error_json
from kameng.web.idempotency import idempotent

__all__ = [
    "ApiView", "CursorPagination", "HasScope", "JsonParser", "NothingHere", "TenantAnonThrottle",
    "TenantScopedThrottle", "TenantTokenThrottle", "TokenAuthentication", "exception_handler", "idempotent",
    "with_etag",
]  # fmt: skip
MAX_ID = 2**63 - 1


# -- Who asks, and what they may.


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer kmg_…`; the token is looked up in the schema of the host, so another shop's is unknown."""

    def authenticate(self, request: Request) -> tuple[User, Any] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        if len(parts) != 2:
            raise exceptions.AuthenticationFailed(_("Send one token: Authorization: Bearer …"))
        try:
            token = tokens.find(parts[1].decode("ascii"))
        except UnicodeDecodeError as error:
            raise exceptions.AuthenticationFailed(_("A token has ASCII characters only.")) from error
        if token is None:
            raise exceptions.AuthenticationFailed(_("This token is unknown here, revoked or expired."))
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema names it."""

    target_class = "kameng.web.api.TokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "A token of this host, with scopes."}


class HasScope(permissions.BasePermission):
    """A view says `scopes = {"GET": "orders:read", "POST": "orders:write"}`; None opens a method to everybody.

    A person who logged in has every scope of their role: a viewer only reads, and staff see no money (`about_money`).
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        scopes = getattr(view, "scopes", {})
        method = "GET" if request.method in ("HEAD", "OPTIONS") else str(request.method)
        wanted = scopes.get(method, "")
        if wanted is None:
            return True
        user: Any = request.user
        if not user.is_authenticated or not wanted:
            return False
        if request.auth is not None:
            return wanted in request.auth.scopes
        if user.role == Role.STAFF and getattr(view, "about_money", False):
            return False
        return method == "GET" or user.role != Role.VIEWER


# -- What is sent.


class BodyTooLarge(exceptions.APIException):
    status_code = 413
    default_code = "too_large"

    def __init__(self) -> None:
        super().__init__(_("This is too much at once."))


class JsonParser(parsers.JSONParser):
    """JSON that the rest can rely on: bounded, not endlessly nested, and of characters that can be stored."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise BodyTooLarge()
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
        about_money: People with the role of staff are refused.
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
    ) -> Response:
        """One page of `rows`; `prepare` turns its rows into what `shape` shows."""
        paginator = CursorPagination()
        paginator.ordering = ordering
        found = list(paginator.paginate_queryset(rows, request, view=self) or ())
        shown = prepare(found) if prepare is not None else found
        return paginator.get_paginated_response(shape(shown, many=True).data)


def _checked(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def in_transaction() -> AbstractContextManager[Any]:
    """The request's transaction, or a short one of its own where the view opens them itself."""
    return nullcontext() if connection.in_atomic_block else transaction.atomic()


class NothingHere(ApiView):
    """An address below the API's that means nothing: the API's own 404, not a page."""

    schema = None  # type: ignore[assignment]
    scopes: ClassVar[dict[str, str | None]] = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Missing(_("There is nothing here."))


# -- Pages and limits.


class CursorPagination(pagination.CursorPagination):
    """Newest first, 50 a page, at most 200. A cursor or limit that is none is refused, not guessed at."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"
    ordering = "-id"

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("limit")
        if text is None:
            return self.page_size
        if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= self.max_page_size):
            raise Invalid(_("A page has 1 to 200 rows."), field="limit")
        return int(text)

    def decode_cursor(self, request: Request) -> Any:
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                self._check_position(cursor.position)
        except (exceptions.NotFound, ValueError):
            raise Invalid(_("This cursor is not one of ours. Begin at the first page."), field="cursor") from None
        return cursor

    def _check_position(self, position: str) -> None:
        """The position stands in the reader's hands and goes into the query; all our lists go by an id. Raises ValueError."""
        if not (position.isascii() and position.isdigit() and len(position) < 20 and int(position) <= MAX_ID):
            raise ValueError(position)


class TenantAnonThrottle(throttling.AnonRateThrottle):
    """The cache is keyed by tenant, so one shop's visitors never use up another's allowance."""

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        key = super().get_cache_key(request, view)
        return cachekeys.scoped("throttle", key) if key else None


class TenantTokenThrottle(throttling.UserRateThrottle):
    scope = "token"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        if request.auth is None:
            return None
        return cachekeys.scoped("throttle", "token", request.auth.pk)


class TenantScopedThrottle(throttling.ScopedRateThrottle):
    """The allowance of what a view names as its `throttle_scope`, by address."""

    def get_cache_key(self, request: Request, view: Any) -> str:
        return cachekeys.scoped("throttle", self.scope, self.get_ident(request))


# -- Failing.


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """One error shape: {"error": {"code", "message", "field"}}; the request's writes are undone."""
    answer = _as_response(error)
    if answer is not None:
        request = context.get("request")
        if request is not None:
            request._request.undo_writes = True
    return answer


def _as_response(error: Exception) -> Response | None:
    if isinstance(error, DomainError):
        response = Response(error_json(error), status=error.status)
        if "retry_after_s" in error.details:
            response["Retry-After"] = str(error.details["retry_after_s"])
        return response
    if isinstance(error, Http404):
        return Response(_shape("not_found", _("There is nothing here.")), status=404)
    if isinstance(error, PermissionDenied):
        return Response(_shape("forbidden", _("You may not do this.")), status=403)
    if isinstance(error, exceptions.ValidationError):
        field, message = _first_problem(error.detail)
        return Response(_shape("invalid", message, field), status=422)
    if isinstance(error, exceptions.APIException):
        codes = error.get_codes()
        response = Response(
            _shape(codes if isinstance(codes, str) else error.default_code, str(error.detail)), status=error.status_code
        )
        if isinstance(error, exceptions.Throttled) and error.wait is not None:
            response["Retry-After"] = str(int(error.wait) + 1)
        auth_header = getattr(error, "auth_header", None)
        if auth_header:
            response["WWW-Authenticate"] = auth_header
        return response
    return None


def _shape(code: str, message: str, field: str | None = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "field": field}}


def _first_problem(detail: Any, path: str = "") -> tuple[str | None, str]:
    """The first field at fault, as a dotted path, and what is wrong with it."""
    if isinstance(detail, dict):
        name, inner = next(iter(detail.items()))
        joined = path if name == "non_field_errors" else f"{path}.{name}".strip(".")
        return _first_problem(inner, joined)
    if isinstance(detail, list):
        for position, inner in enumerate(detail):
            if isinstance(inner, dict | list):
                if inner:
                    return _first_problem(inner, f"{path}.{position}".strip("."))
            else:
                return path or None, str(inner)
        return path or None, _("This can't be understood.")
    return path or None, str(detail)


# -- Being polled.


def with_etag(request: Request, response: Response) -> Response:
    """Give a polled read its ETag, and 304 to a reader who has it."""
    rendered = json.dumps(response.data, sort_keys=True, default=str).encode()
    etag = f'"{hashlib.sha256(rendered).hexdigest()[:32]}"'
    held = {part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")}
    if etag in held or "*" in held:
        response = Response(status=304)
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    return response
