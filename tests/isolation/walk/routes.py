"""Every address that the two hosts answer, with its parameters and methods, out of Django's own resolver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

HOSTS = {"main": "kameng.urls_main", "shop": "kameng.urls_tenant"}
PARAMETER = re.compile(r"<(?:[a-z_]+:)?([a-z_]+)>")
API_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Route:
    """One address of one of the two hosts. `text` is as the URL map spells it, below the host."""

    host: str  # "main" or "shop".
    text: str
    name: str
    methods: tuple[str, ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(PARAMETER.findall(self.text))

    @property
    def is_api(self) -> bool:
        return self.text.startswith("api/")

    @property
    def label(self) -> str:
        """How it is called in a failure: `shop:panel/orders/<str:number>/`."""
        return f"{self.host}:{self.text}"

    def path(self, values: dict[str, Any]) -> str:
        """The address with these values in it."""
        return "/" + PARAMETER.sub(lambda found: str(values[found[1]]), self.text)


def routes(host: str) -> list[Route]:
    """All of one host's, in the order of its URL map. A pattern that can't be read raises."""
    return list(_walk(host, get_resolver(HOSTS[host]).url_patterns, "", ""))


def every_route() -> list[Route]:
    return [*routes("main"), *routes("shop")]


def _walk(host: str, patterns: Any, before: str, space: str) -> Iterator[Route]:
    for pattern in patterns:
        text = before + _text(pattern)
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from _walk(host, pattern.url_patterns, text, inner)
        else:
            assert isinstance(pattern, URLPattern), f"{pattern} is neither an address nor a group of them."
            yield Route(host, text, f"{space}{pattern.name or ''}", _methods(pattern.callback))


def _text(pattern: URLPattern | URLResolver) -> str:
    """A pattern's own text. Of regular expressions there is one, which takes what no other took."""
    inner: Any = pattern.pattern
    if hasattr(inner, "_route"):
        return str(inner._route)
    assert inner._regex in ("", "^/"), f"An address by regular expression: {inner._regex!r}. Write it with path()."
    return "nothing-of-that-name/" if inner._regex == "" else ""


def _methods(view: Any) -> tuple[str, ...]:
    """What a class answers; a function is tried with both of those that matter."""
    kind = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if kind is None:
        return ("get", "post")
    allowed = getattr(kind, "http_method_names", API_METHODS)
    # One that names no method answers whatever comes: what took no other address.
    return tuple(method for method in API_METHODS if hasattr(kind, method) and method in allowed) or ("get", "post")
