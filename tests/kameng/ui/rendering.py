"""A template string as a page of the product renders it: components compiled, builtins there."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from django.template import RequestContext, Template
from django.test import RequestFactory
from django.utils import translation
from django_cotton.compiler_regex import CottonCompiler

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


def rendered(source: str, *, path: str = "/", language: str = "en", **context: Any) -> str:
    """`source` rendered for a GET of `path`."""
    request = RequestFactory().get(path)
    request.csp_nonce = "n0nce"  # type: ignore[attr-defined]
    with translation.override(language):
        return Template(CottonCompiler().process(source)).render(RequestContext(request, context))


class Elements(HTMLParser):
    """The elements of a page in order, and whether each that was opened was closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def first(self, tag: str) -> dict[str, str | None]:
        return next(attrs for name, attrs in self.found if name == tag)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]
