"""Who asks, where a proxy stands in front: the visitor whom our own proxy names, and nobody whom a visitor names."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

from kameng.middleware import RequestContext
from kameng.web.actors import client_ip


def seen(scheme: str, peer: str, said: str | None, proxies: tuple[str, ...] = ()) -> str:
    found: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        found.append(client_ip(request))
        return HttpResponse()

    more = {} if said is None else {"HTTP_X_FORWARDED_FOR": said}
    with override_settings(SCHEME=scheme, PROXY_ADDRESSES=list(proxies)):
        RequestContext(view)(RequestFactory().get("/", REMOTE_ADDR=peer, **more))
    return found[0]


@pytest.mark.parametrize(
    ("scheme", "peer", "said", "address"),
    [
        ("https", "127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("https", "::1", "2001:db8::9", "2001:db8::9"),
        ("https", "10.1.2.3", "203.0.113.9", "203.0.113.9"),
        ("https", "127.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # The last was written by our proxy.
        ("https", "127.0.0.1", "nonsense", "127.0.0.1"),
        ("https", "127.0.0.1", None, "127.0.0.1"),
        ("https", "192.0.2.66", "203.0.113.9", "192.0.2.66"),  # No proxy of ours: its own word.
        ("http", "127.0.0.1", "203.0.113.9", "127.0.0.1"),  # None stands in front.
    ],
)
def test_the_visitor(scheme: str, peer: str, said: str | None, address: str) -> None:
    assert seen(scheme, peer, said, proxies=("10.1.2.3",)) == address
