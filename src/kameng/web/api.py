"""What every endpoint shares: who asks, what they may, how often, how it fails, how it pages and is polled.

The settings name what stands here, so REST framework's views can't be imported in it: see `kameng.web.endpoint`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions, pagination, permissions, throttling
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.accounts import catalogue, step_up, tokens
from kameng.accounts.catalogue import SCOPE_NEEDS
from kameng.accounts.models import User, place
from kameng.lib import clock
from kameng.lib.errors import DomainError, Invalid
from kameng.web import cachekeys
from kameng.web.errors import error_json

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
        tokens.note_use(token, now=clock.utc_now())
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

    A person who logged in may do what their role may: each scope stands for a permission (`catalogue.SCOPE_NEEDS`), or
    the view names a narrower one: `permissions = {"PUT": catalogue.PRICES_CHANGE}`.
    A token never has more than its person's role: who became a viewer takes their programs along.
    """

    message: Any = _lazy("Your role does not allow this. Ask the owner for one that does.")

    def has_permission(self, request: Request, view: Any) -> bool:
        scopes = getattr(view, "scopes", {})
        method = "GET" if request.method in ("HEAD", "OPTIONS") else str(request.method)
        wanted = scopes.get(method, "")
        if wanted is None:
            return True
        user: Any = request.user
        if not user.is_authenticated or not wanted:
            return False
        token: Any = request.auth
        if token is None and step_up.lacks_one(request):
            self.message = _("Everybody needs a second step here. Set yours up in the browser first.")
            return False
        if token is not None and not getattr(getattr(request, "tenant", None), "api_allowed", True):
            self.message = _("The shop's plan has no API. Its owner can choose one that has it.")
            return False
        if token is not None and wanted not in token.scopes:
            self.message = _("This token lacks the scope %(scope)s. Make one that has it.") % {"scope": wanted}
            return False
        if method != "GET" and getattr(getattr(request, "tenant", None), "closed", False):
            self.message = _("The shop is closed for good: everything can be read and nothing be changed.")
            return False
        unpaid = getattr(getattr(request, "tenant", None), "read_only", False)
        if method != "GET" and unpaid and not getattr(view, "even_unpaid", False):
            self.message = _("The shop's plan is not paid: until it is, everything can be read and nothing be changed.")
            return False
        return bool(user.may(needed(view, method, wanted)))


def needed(view: Any, method: str, scope: str) -> str:
    """The permission that a method of an API view needs: the one that it names itself, else that of its scope."""
    own: str = getattr(view, "permissions", {}).get(method, "")
    return own or SCOPE_NEEDS[place()][scope]


def sees_money(request: Request) -> bool:
    """Whether the reader may know what the shop earns."""
    token: Any = request.auth
    if token is not None and "statement:read" not in token.scopes:
        return False
    user: Any = request.user
    return bool(user.is_authenticated and user.may(catalogue.MONEY_LOOK))


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
                self._check_position(str(cursor.position))
        except (exceptions.NotFound, ValueError):
            raise Invalid(_("This cursor is not one of ours. Begin at the first page."), field="cursor") from None
        return cursor

    def _check_position(self, position: str) -> None:
        """It goes into the query, and all our lists go by an id. Raises ValueError."""
        if not (position.isascii() and position.isdigit() and len(position) < 20 and int(position) <= MAX_ID):
            raise ValueError(position)


class TenantAnonThrottle(throttling.AnonRateThrottle):
    """The cache is keyed by tenant, so one shop's visitors never use up another's allowance."""

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        key = super().get_cache_key(request, view)
        return cachekeys.scoped("throttle", key) if key else None


class TenantTokenThrottle(throttling.UserRateThrottle):
    """For each token, and for each person who logged in."""

    scope = "token"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        user: Any = request.user
        if request.auth is not None:
            return cachekeys.scoped("throttle", "token", request.auth.pk)
        return cachekeys.scoped("throttle", "user", user.pk) if user.is_authenticated else None


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
    if isinstance(error, RequestDataTooBig):
        return Response(_shape("too_large", _("This is too much at once.")), status=413)
    if isinstance(error, PermissionDenied):
        return Response(_shape("forbidden", _("You may not do this.")), status=403)
    if isinstance(error, exceptions.ValidationError):
        field, message = _first_problem(error.detail)
        return Response(_shape("invalid", message, field), status=422)
    if isinstance(error, exceptions.APIException):
        codes, message = error.get_codes(), str(error.detail)
        if isinstance(error, exceptions.NotAuthenticated):
            message = _("Send a token of this host: Authorization: Bearer kmg_…")
        response = Response(
            _shape(codes if isinstance(codes, str) else error.default_code, message), status=error.status_code
        )
        wait = getattr(error, "wait", None)
        if wait is not None:
            response["Retry-After"] = str(int(wait) + 1)
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
