"""What surrounds every request, outermost first (see MIDDLEWARE in the settings)."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.locale import LocaleMiddleware
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import Resolver404, resolve
from django.utils import translation
from django.utils.translation import gettext as _

from kameng.accounts import support
from kameng.db.context import MAIN, pointed_at
from kameng.lib import clock
from kameng.lib.errors import DomainError, Gone, Missing, Unavailable
from kameng.web import errors
from kameng.web.sessions import host_of
from kameng.web.transactions import owns_transactions
from tenants import hosts
from tenants.upgrades import versions

GetResponse = Callable[[HttpRequest], HttpResponse]
RETRY_AFTER_S = 60
QUERY_CANCELLED = "57014"  # Postgres: it ran into the log-in role's statement_timeout.
READING = frozenset({"GET", "HEAD", "OPTIONS"})
# What is never sent on to a shop's own domain: what machines call, and the panel, which its owner must reach when that
# domain's records are broken.
AT_EVERY_ADDRESS = (
    "/healthz", "/hooks/", "/api/", "/panel/", "/login/", "/logout/", "/enter/", "/password/", "/static/", "/files/",
    "/i18n/",
)  # fmt: skip
log = structlog.get_logger("web")


def _visitor(request: HttpRequest) -> str:
    """Who asks: the peer, or whom our own proxy says it asks for. A proxy stands in front where shops are served over
    https (infra/caddy), on this machine or at one of settings.PROXY_ADDRESSES; of anybody else the header is their own word.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    said = request.META.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", 1)[-1].strip()
    if (
        settings.SCHEME != "https"
        or not said
        or not (peer.startswith("127.") or peer in ("::1", *settings.PROXY_ADDRESSES))
    ):
        return peer
    try:
        return str(ipaddress.ip_address(said))
    except ValueError:
        return peer


class RequestContext:
    """Give the request an id, bind it to the logs, and start from the main station's scope."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.request_id = secrets.token_hex(8)  # type: ignore[attr-defined]
        request.META["REMOTE_ADDR"] = _visitor(request)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request.request_id)  # type: ignore[attr-defined]
        with pointed_at(MAIN):
            response = self.get_response(request)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        return response


class TenantFromHost:
    """Point the connection at the substation that the host names. An unknown host is nobody's: 404."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        host = host_of(request.get_host())
        request.tenant = None  # type: ignore[attr-defined]
        if hosts.is_main(host):
            request.urlconf = settings.PUBLIC_SCHEMA_URLCONF
            return self.get_response(request)
        tenant = hosts.substation_for(host)
        if tenant is None and hosts.is_gone(host):
            return self._gone(request, host)
        if tenant is None:
            with translation.override(_language(request)):
                if errors.wants_json(request):
                    return errors.refusal(request, Missing(_("There is no shop at this address.")))
                return HttpResponse(render(request, "web/no_shop.html", {"host": host}).content, status=404)
        if not versions.serves(tenant.schema_version):
            # What is cached may be older than the upgrade: only the database's word closes a shop.
            tenant = hosts.substation_for(host, anew=True) or tenant
            if not versions.serves(tenant.schema_version):
                return self._being_updated(request, tenant)
        if tenant.sends_on and host != tenant.primary and not request.path_info.startswith(AT_EVERY_ADDRESS):
            return self._sent_on(request, tenant)
        request.tenant = tenant  # type: ignore[attr-defined]
        request.urlconf = settings.ROOT_URLCONF
        structlog.contextvars.bind_contextvars(tenant=tenant.schema_name)
        with pointed_at(tenant):
            return self.get_response(request)

    @staticmethod
    def _gone(request: HttpRequest, host: str) -> HttpResponse:
        """An erased shop's address, and every link below it that somebody kept."""
        with translation.override(_language(request)):
            if errors.wants_json(request):
                return errors.refusal(request, Gone(_("The shop at this address was closed, and its data was erased.")))
            return HttpResponse(render(request, "web/shop_gone.html", {"host": host}).content, status=410)

    @staticmethod
    def _sent_on(request: HttpRequest, tenant: hosts.TenantInfo) -> HttpResponse:
        """To the shop's first address, whole: 301 where only a page was asked for, 308 where something is sent along."""
        target = f"{settings.SCHEME}://{tenant.primary}{settings.AUTHORITY}{request.get_full_path()}"
        status = 301 if request.method in READING else 308
        response = HttpResponse(status=status, headers={"Location": target})
        response["Cache-Control"] = (
            "max-age=300"  # The owner may change their mind; a browser must not keep it for good.
        )
        return response

    @staticmethod
    def _being_updated(request: HttpRequest, tenant: hosts.TenantInfo) -> HttpResponse:
        """The shop's schema is at a version that this code does not serve: a clear notice in place of errors."""
        log.warning("web.shop.being_updated", tenant=tenant.schema_name, version=tenant.schema_version)
        request.htmx = bool(request.headers.get("HX-Request"))  # type: ignore[attr-defined]  # Its middleware is inside.
        with translation.override(_language(request)):
            refused = Unavailable(
                _("This shop is being updated. Come back in a few minutes; orders and payments are kept."),
                code="shop_being_updated",
                details={"retry_after_s": RETRY_AFTER_S},
            )
            if errors.wants_json(request) or request.htmx:  # type: ignore[attr-defined]
                response = errors.refusal(request, refused)
            else:
                page = render(request, "web/being_updated.html", {"name": tenant.name, "message": refused.message})
                response = HttpResponse(page.content, status=refused.status)
        response["Retry-After"] = str(RETRY_AFTER_S)
        response["Cache-Control"] = "no-store"
        return response


def _language(request: HttpRequest) -> str:
    """The reader's language where ReaderLocale has not been yet: as chosen on this very page, else as they came."""
    wanted = request.GET.get("lang", "")
    return wanted if wanted in dict(settings.LANGUAGES) else translation.get_language_from_request(request)


class ContentSecurity:
    """A nonce per request and a policy that lets nothing in from outside."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        nonce = request.csp_nonce = secrets.token_urlsafe(16)  # type: ignore[attr-defined]
        response = self.get_response(request)
        if "Content-Security-Policy" not in response:
            response["Content-Security-Policy"] = (
                f"default-src 'self'; script-src 'self' 'nonce-{nonce}'; "
                f"style-src 'self' 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; "
                "img-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
                "frame-ancestors 'none'"
            )
        return response


class ReaderLocale(LocaleMiddleware):
    """The language that the reader chose (?lang=, kept in a cookie), else the shop's, else Chinese."""

    def process_request(self, request: HttpRequest) -> None:
        wanted = request.GET.get("lang", "")
        if wanted in dict(settings.LANGUAGES):
            request.chosen_language = wanted  # type: ignore[attr-defined]
            translation.activate(wanted)
            request.LANGUAGE_CODE = wanted
            return
        cookie = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
        if cookie in dict(settings.LANGUAGES):
            language = cookie
        else:
            header = request.headers.get("Accept-Language", "")
            language = translation.get_language_from_request(request) if header else settings.LANGUAGE_CODE
        translation.activate(language)
        request.LANGUAGE_CODE = translation.get_language() or settings.LANGUAGE_CODE

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        response.headers.setdefault("Content-Language", translation.get_language() or "")
        chosen = getattr(request, "chosen_language", "")
        if chosen:
            response.set_cookie(settings.LANGUAGE_COOKIE_NAME, chosen, max_age=365 * 86400, samesite="Lax")
        return response


class RequestTransaction:
    """The whole response is made in one transaction, READ ONLY for reading methods, rolled back on an error.

    A view marked `own_transactions` is left alone.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            match = resolve(request.path_info, urlconf=getattr(request, "urlconf", None))
        except Resolver404:
            match = None
        if match is not None and owns_transactions(match.func):
            return self.get_response(request)
        wrapper: Any = connection
        if request.method in READING:
            wrapper.begin_read_only()
        with transaction.atomic():
            response = self.get_response(request)
            if isinstance(response, TemplateResponse) and not response.is_rendered:
                response = response.render()
            # A failed response's writes are undone; what a view refused has rolled itself back already.
            if response.status_code >= 500 or getattr(request, "undo_writes", False):
                transaction.set_rollback(True)
        return response


class SupportVisit:
    """Who is here as the main station's support is nobody of the shop's (`kameng.accounts.support`)."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.tenant is not None and settings.SESSION_COOKIE_NAME in request.COOKIES:  # type: ignore[attr-defined]
            visit = support.visit_of(request, now=clock.utc_now())
            if visit is not None:
                request.user = support.SupportUser(visit)  # type: ignore[assignment]
                structlog.contextvars.bind_contextvars(support=visit.access)
        return self.get_response(request)


class DomainErrors:
    """Turn a refusal that a view let through into a page, a fragment or JSON."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, DomainError):
            request.undo_writes = True  # type: ignore[attr-defined]
            log.info("web.request.refused", code=exception.code, status=exception.status)
            return errors.refusal(request, exception)
        if not isinstance(exception, Http404):
            request.undo_writes = True  # type: ignore[attr-defined]
        if getattr(exception.__cause__, "pgcode", "") == QUERY_CANCELLED and isinstance(exception, OperationalError):
            log.warning("web.request.took_too_long")
            refused = Unavailable(
                _("This took too long and was stopped; nothing was changed. Try a narrower search or a shorter time."),
                code="took_too_long",
            )
            return errors.refusal(request, refused)
        return None
