"""Serves the gallery alone: `python -m kameng.ui.gallery_server [port]`."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class Nonce:
    """The content security policy of the product, so that the gallery shows what it would block."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        nonce = secrets.token_urlsafe(16)
        request.csp_nonce = nonce  # type: ignore[attr-defined]  # The name that the product's middleware gives it.
        response = self.get_response(request)
        response["Content-Security-Policy"] = (
            f"default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
            "img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
        )
        return response


def main() -> None:
    """Runs Django's own development server on 127.0.0.1."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "kameng.ui.settings_gallery"
    from django.core.management import execute_from_command_line  # After the settings are named.

    port = sys.argv[1] if len(sys.argv) > 1 else "8600"
    execute_from_command_line(["kameng.ui.gallery_server", "runserver", "--noreload", f"127.0.0.1:{port}"])


if __name__ == "__main__":
    main()
