"""From a name at the registrar to a page over https: our name server, the Caddyfile of infra/ and its internal issuer.

What is changed in the Caddyfile for the test is where it listens, where it keeps its certificates, and who signs them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from cryptography import x509
from django.db import connections
from django.test import override_settings

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.lib import clock
from kameng.lib.ids import public_id
from kameng.local import caddy
from kameng.local._state import free_port
from tenants import domains
from tests.fakes.dns import NameServer

CADDYFILE = Path(__file__).resolve().parents[2] / "infra/caddy/Caddyfile"
PATIENCE_S = 30


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # The base's own name.
        """Nothing."""


@pytest.fixture
def upstream(prepared: None) -> Iterator[str]:
    """Kameng itself, as it is served behind the proxy: settings of https."""
    with override_settings(
        SCHEME="https",
        AUTHORITY="",
        SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
        SECURE_HSTS_SECONDS=31_536_000,
    ):
        from django.core.wsgi import get_wsgi_application

        with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=_Quiet) as server:

            def serve() -> None:
                server.serve_forever(poll_interval=0.02)
                connections.close_all()

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            try:
                yield f"127.0.0.1:{server.server_address[1]}"
            finally:
                server.shutdown()
                thread.join()


@dataclass
class Proxy:
    """Caddy, running: `get` is a browser that trusts its internal issuer and asks it for `host`."""

    port: int
    http_port: int
    folder: Path

    def get(self, host: str, path: str = "/") -> tuple[HTTPResponse, x509.Certificate]:
        context = ssl.create_default_context(cafile=str(self.folder / "pki/authorities/local/root.crt"))
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        try:
            secured = context.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
        shown = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
        connection = HTTPSConnection(host)
        connection.sock = secured
        connection.request("GET", path, headers={"Host": host, "Accept-Language": "en"})
        response = connection.getresponse()
        response.body = response.read()  # type: ignore[attr-defined]
        connection.close()
        return response, shown

    def refuses(self, host: str) -> bool:
        """Whether the handshake ends without a certificate."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with contextlib.closing(socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)) as plain:
            try:
                context.wrap_socket(plain, server_hostname=host).close()
            except ssl.SSLError:
                return True
        return False

    def certificates(self) -> set[str]:
        return {path.stem for path in (self.folder / "certificates").rglob("*.crt")}


@pytest.fixture
def proxy(upstream: str, tmp_path: Path) -> Iterator[Proxy]:
    port, folder = free_port(), tmp_path / "caddy"
    http_port = next(other for other in iter(free_port, None) if other != port)
    text = CADDYFILE.read_text(encoding="utf-8")
    own = "\temail {$KAMENG_ACME_MAIL:admin@example.com}\n"
    assert own in text
    listens = f"\thttps_port {port}\n\thttp_port {http_port}\n\tdefault_bind 127.0.0.1\n\tadmin off\n"
    signs = f"\tlocal_certs\n\tskip_install_trust\n\tstorage file_system {folder}\n"
    config = tmp_path / "Caddyfile"
    config.write_text(text.replace(own, listens + signs), encoding="utf-8")
    environ = {**os.environ, "KAMENG_UPSTREAM": upstream, "KAMENG_BASE_DOMAIN": "localhost", "HOME": str(tmp_path)}
    log = (tmp_path / "caddy.log").open("wb")
    process = subprocess.Popen(
        [str(caddy.binary()), "run", "--config", str(config), "--adapter", "caddyfile"],
        env=environ,
        stdout=log,
        stderr=log,
    )
    try:
        _wait(process, port, tmp_path / "caddy.log")
        yield Proxy(port, http_port, folder)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        log.close()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until it listens; its log when it ended instead."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            raise AssertionError(log.read_text(encoding="utf-8")[-3_000:])


class TestCaddyfile:
    def test_is_valid(self) -> None:
        environ = {**os.environ, "KAMENG_BASE_DOMAIN": "kameng.example"}
        checked = subprocess.run(
            [str(caddy.binary()), "validate", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
            env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip

        assert checked.returncode == 0, checked.stderr
        assert "Valid configuration" in checked.stdout

    def test_is_in_its_own_format(self) -> None:
        formatted = subprocess.run(
            [str(caddy.binary()), "fmt", str(CADDYFILE)], capture_output=True, text=True, check=False
        )

        assert formatted.stdout == CADDYFILE.read_text(encoding="utf-8")


class TestOwnDomain:
    def test_ends_in_a_page_over_https_and_no_certificate_is_made_for_an_unproved_name(
        self,
        proxy: Proxy,
        outside: NameServer,
        make_shop: Callable[..., Any],
    ) -> None:
        shop = make_shop()
        name = f"shop.{public_id('d')[2:12].lower()}-cards.com"
        now = clock.utc_now()
        with in_main():
            claim = domains.add(substation_id=shop.pk, domain=name, by=SYSTEM, now=now)

        assert proxy.refuses(name)  # Claimed, and not proved.
        for record in domains.records(claim):
            outside.zone[record.name, record.kind] = [record.value]
        assert domains.check(claim_id=claim.pk, by=SYSTEM, now=now).state == "VERIFIED"
        response, certificate = proxy.get(name)

        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [name]
        assert response.status == 200
        assert shop.name in response.body.decode()  # type: ignore[attr-defined]
        assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert proxy.refuses(f"other.{name}") and proxy.refuses("nobody.localhost") and proxy.refuses("example.org")
        assert {one for one in proxy.certificates() if "localhost" not in one} == {name}

    def test_a_shop_s_own_address_has_a_certificate_too_and_http_leads_to_https(
        self, proxy: Proxy, make_shop: Callable[..., Any]
    ) -> None:
        import http.client

        shop = make_shop()

        response, _certificate = proxy.get(shop.host)
        plain = http.client.HTTPConnection("127.0.0.1", proxy.http_port, timeout=PATIENCE_S)
        plain.request("GET", "/p/card/", headers={"Host": shop.host})
        moved = plain.getresponse()
        location = moved.headers["Location"]
        plain.close()

        assert response.status == 200
        assert moved.status == 308
        assert location.startswith(f"https://{shop.host}") and location.endswith("/p/card/")

    def test_the_question_itself_can_t_be_asked_from_outside(self, proxy: Proxy, make_shop: Callable[..., Any]) -> None:
        shop = make_shop()

        response, _certificate = proxy.get(shop.host, f"/internal/tls/allow?domain={shop.host}")

        assert response.status == 404
