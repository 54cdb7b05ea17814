"""The proxy's question before it has a certificate made: is this name ours to serve?"""

from __future__ import annotations

import ipaddress
import re

import structlog
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from kameng.web.counting import count
from kameng.web.transactions import own_transactions
from tenants import hosts

# A name is asked about once a certificate, some weeks apart. What asks for many unknown ones wants our quota at the
# certificate authority gone.
UNKNOWN_A_MINUTE = 60
ASKED_A_MINUTE = 1_200
MINUTE_S = 60
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*", re.ASCII)
log = structlog.get_logger("tenants.tls")


@require_GET
@own_transactions
def allow(request: HttpRequest) -> HttpResponse:
    """200 for a living shop's address and a domain that is verified, 404 for any other name, 429 when too many are asked.

    Only the proxy itself may ask: from loopback or settings.PROXY_ADDRESSES, and not on behalf of somebody.
    """
    if not _is_proxy(request):
        raise Http404
    name = request.GET.get("domain", "").strip().lower().rstrip(".")
    if not _is_name(name):
        return _refused(name)
    # Costs no look-up: whoever asks for strange names keeps no shop that is visited from its certificate.
    if hosts.is_known(name):
        return _answer(200)
    if count("tls:asked", MINUTE_S) > ASKED_A_MINUTE:
        return _answer(429)
    if hosts.is_main(name) or hosts.substation_for(name) is not None:
        return _answer(200)
    return _refused(name)


def _refused(name: str) -> HttpResponse:
    log.info("tenants.tls.refused", domain=name[:253])
    return _answer(429 if count("tls:unknown", MINUTE_S) > UNKNOWN_A_MINUTE else 404)


def _is_name(name: str) -> bool:
    return len(name) <= 253 and bool(_HOST.fullmatch(name)) and not _is_ip(name)


def _is_proxy(request: HttpRequest) -> bool:
    """What a proxy passes on bears a forwarded-for; what it asks of itself does not."""
    peer = str(request.META.get("REMOTE_ADDR", ""))
    if "HTTP_X_FORWARDED_FOR" in request.META or "HTTP_FORWARDED" in request.META:
        return False
    try:
        return ipaddress.ip_address(peer).is_loopback or peer in settings.PROXY_ADDRESSES
    except ValueError:  # A socket's peer has no address: only this machine reaches it.
        return peer == ""


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _answer(status: int) -> HttpResponse:
    return HttpResponse(status=status, headers={"Cache-Control": "no-store"})
