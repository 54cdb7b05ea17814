"""What every endpoint shares: who asks, what they may, how often, how it fails, how it repeats."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions, pagination, permissions, throttling
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.accounts import tokens
from kameng.accounts.models import IdempotencyRecord, Role, User
from kameng.lib.errors import DomainError, Invalid, Refused
from kameng.web import cachekeys
from kameng.web.errors import error_json


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

    A person who logged in has every scope of their role; a viewer only reads.
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
        return method == "GET" or user.role != Role.VIEWER


class CursorPagination(pagination.CursorPagination):
    """Newest first, 50 a page, at most 200."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"
    ordering = "-id"


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


def idempotent(handler: Callable[..., Response]) -> Callable[..., Response]:
    """`Idempotency-Key` on a method that creates: the same key and body get the first answer again, 409 for another
    body. Only successes are kept: a refusal changed nothing, so the same key may try again.

    Race: two requests with one key at once. The unique key makes the second wait for the first's commit, and then
    find its answer.
    """

    @wraps(handler)
    def wrapped(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return handler(view, request, *args, **kwargs)
        if len(key) > 120 or not key.isprintable():
            raise Invalid(_("An idempotency key has at most 120 printable characters."), field="Idempotency-Key")
        with transaction.atomic():
            record, fresh = _claim(request, key)
            if not fresh:
                return _replayed(record)
            response = handler(view, request, *args, **kwargs)
            if response.status_code >= 300:
                record.delete()
                return response
            record.status, record.body = response.status_code, json.loads(json.dumps(response.data, default=str))
            record.save(update_fields=["status", "body"])
            return response

    return wrapped


def _claim(request: Request, key: str) -> tuple[IdempotencyRecord, bool]:
    actor = f"token:{request.auth.pk}" if request.auth is not None else _visitor(request)
    body = json.dumps(request.data, sort_keys=True, default=str)
    digest = hashlib.sha256(f"{request.method} {request.path}\n{body}".encode()).digest()
    try:
        with transaction.atomic():
            return IdempotencyRecord.objects.create(actor=actor, key=key, digest=digest), True
    except IntegrityError:
        record = IdempotencyRecord.objects.get(actor=actor, key=key)
    if bytes(record.digest) != digest:
        raise Refused(_("This idempotency key was used for another request."), code="idempotency_conflict")
    return record, False


def _visitor(request: Request) -> str:
    user: Any = request.user
    return f"user:{user.pk}" if user.is_authenticated else f"ip:{request.META.get('REMOTE_ADDR', '')}"


def _replayed(record: IdempotencyRecord) -> Response:
    response = Response(record.body, status=record.status or 200)
    response["Idempotency-Replayed"] = "true"
    return response


def with_etag(request: Request, response: Response) -> Response:
    """Give a polled read its ETag, and 304 to a reader who has it."""
    rendered = json.dumps(response.data, sort_keys=True, default=str).encode()
    etag = f'"{hashlib.sha256(rendered).hexdigest()[:32]}"'
    if etag in request.headers.get("If-None-Match", ""):
        response = Response(status=304)
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    return response
