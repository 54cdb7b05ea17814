"""The API's contract: the OpenAPI document made from the code, and a page that people can read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import include, path, reverse
from django.utils import translation
from django.utils.text import slugify
from django.views import View
from drf_spectacular.generators import SchemaGenerator

from kameng.web.transactions import own_transactions

PREFIX = "api/v1/"
METHODS = ("get", "post", "put", "patch", "delete")
BOUNDS = (("minimum", "maximum", ""), ("minLength", "maxLength", " characters"), ("minItems", "maxItems", " items"))
UNBOUNDED = 2**31 - 1  # A limit of the column, which tells a person nothing.


@dataclass(frozen=True, eq=False)
class Contract:
    """One host's API. `layout` is the base template of its page, `context` what that wants."""

    title: str
    description: str
    patterns: Sequence[Any]
    layout: str
    context: Callable[[HttpRequest], dict[str, Any]] = lambda request: {}

    @lru_cache(maxsize=4)  # noqa: B019  # Two contracts a process, and they live as long as it.
    def document(self) -> dict[str, Any]:
        """The OpenAPI document; in English whoever asks, for it is a contract. Made once a process."""
        with translation.override("en"):
            make: Any = SchemaGenerator
            generator = make(patterns=[path(PREFIX, include(list(self.patterns)))])
            document: dict[str, Any] = json.loads(json.dumps(generator.get_schema(request=None, public=True)))
        document["info"] |= {"title": self.title, "description": self.description}
        for name, schema in document["components"]["schemas"].items():
            if name.endswith("Request") and schema.get("type") == "object":
                schema["additionalProperties"] = False  # `kameng.web.strict` refuses a name that is not known.
        return document


@own_transactions
class IndexView(View):
    """Where the API begins: the page for a person, the two addresses for a program. It reads no database."""

    contract: Contract = None  # type: ignore[assignment]  # `as_view` sets it.

    def get(self, request: HttpRequest) -> HttpResponseBase:
        docs, schema = reverse("api_docs"), reverse("api_schema")
        if "text/html" in request.headers.get("Accept", ""):
            return redirect(docs)
        addresses = {"docs": request.build_absolute_uri(docs), "schema": request.build_absolute_uri(schema)}
        return JsonResponse({"title": self.contract.title, **addresses}, headers={"Vary": "Accept"})


@own_transactions
class SchemaView(View):
    """The document itself; it reads no database."""

    contract: Contract = None  # type: ignore[assignment]  # `as_view` sets it.

    def get(self, request: HttpRequest) -> HttpResponse:
        body = json.dumps(self.contract.document(), ensure_ascii=False, indent=1)
        return HttpResponse(body, content_type="application/vnd.oai.openapi+json")


class DocsView(View):
    """The document as a page: no script, nothing from another host."""

    contract: Contract = None  # type: ignore[assignment]  # `as_view` sets it.

    def get(self, request: HttpRequest) -> HttpResponse:
        document = self.contract.document()
        context = {
            "layout": self.contract.layout, "title": self.contract.title, "description": self.contract.description,
            "groups": _groups(document), **self.contract.context(request),
            "base": request.build_absolute_uri("/" + PREFIX), "version": document["openapi"],
        }  # fmt: skip
        return render(request, "web/api_docs.html", context)


# -- What the page prints.


def _groups(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Operations by tag, in the order of the addresses."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for address, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                operation = methods[method]
                groups.setdefault(operation["tags"][0], []).append(_operation(document, address, method, operation))
    return [{"name": name, "slug": slugify(name), "operations": operations} for name, operations in groups.items()]


def _lines(text: str) -> list[list[dict[str, Any]]]:
    """A description by its lines, each in its pieces: plain, and code between backticks."""
    lines = [line.strip().removeprefix("* ") for line in text.splitlines()]
    return [
        [{"code": number % 2 == 1, "text": piece} for number, piece in enumerate(line.split("`")) if piece]
        for line in lines
        if line
    ]


def _operation(document: dict[str, Any], address: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return {
        "id": operation["operationId"], "method": method.upper(), "address": address, "summary": operation["summary"],
        "text": _lines(operation.get("description", "")),
        "parameters": [_parameter(one) for one in operation.get("parameters", ())],
        "body": _rows(document, body) if body else [],
        "answers": [_answer(document, status, one) for status, one in sorted(operation["responses"].items())],
    }  # fmt: skip


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    schema = parameter["schema"]
    return {
        "name": parameter["name"], "place": parameter["in"], "required": parameter.get("required", False),
        "kind": _kind(schema), "bounds": _bounds(schema),
        "text": _lines(parameter.get("description") or schema.get("description", "")),
    }  # fmt: skip


def _answer(document: dict[str, Any], status: str, answer: dict[str, Any]) -> dict[str, Any]:
    schema = answer.get("content", {}).get("application/json", {}).get("schema")
    good = status.startswith("2")
    return {
        "status": status, "good": good, "text": _lines(answer.get("description", "")),
        "rows": _rows(document, schema) if schema and good else [],
    }  # fmt: skip


def _rows(document: dict[str, Any], schema: dict[str, Any], above: str = "") -> list[dict[str, Any]]:
    """The fields of a schema by their dotted paths; `[]` stands for each of a list."""
    found = _resolved(document, schema)
    if found.get("type") == "array":
        return _rows(document, found["items"], f"{above}[]")
    rows = []
    for name, inner in found.get("properties", {}).items():
        shown, path_ = _resolved(document, inner), f"{above}.{name}".strip(".")
        text = _lines(inner.get("description") or shown.get("description", ""))
        rows.append(
            {
                "path": path_, "kind": _kind(shown), "bounds": _bounds(shown), "text": text,
                "required": name in found.get("required", ()),
            }
        )  # fmt: skip
        if path_.count(".") < 3:
            rows += _rows(document, shown, path_)
    return rows


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without references: the one that it names, or the first of those that it is made of."""
    for word in ("allOf", "oneOf", "anyOf"):
        if word in schema:
            named = next((one for one in schema[word] if one.get("type") != "null"), schema[word][0])
            return {**_resolved(document, named), **{k: v for k, v in schema.items() if k == "description"}}
    if "$ref" in schema:
        return _resolved(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]])
    return schema


def _kind(schema: dict[str, Any]) -> str:
    """A type in a few words: `string`, `integer or null`, `A | B`."""
    if "enum" in schema:
        return " | ".join(str(value) if value not in (None, "") else "null" if value is None else '""'
                          for value in schema["enum"])  # fmt: skip
    kind = schema.get("type", "object")
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    format_ = schema.get("format")
    return f"{words} ({format_})" if format_ and format_ != "int64" else words


def _bounds(schema: dict[str, Any]) -> str:
    """What a value may be: `1 … 100`, `≤ 120 characters`; empty where the schema says nothing for a person."""
    for least, most, unit in BOUNDS:
        low, high = schema.get(least), schema.get(most)
        if isinstance(high, int) and high >= UNBOUNDED:
            high = None
        if low == 1 and least == "minLength":  # That a text is not empty goes without saying.
            low = None
        if low is not None and high is not None and low != high:
            return f"{low} … {high}{unit}"
        if high is not None:
            return f"≤ {high}{unit}" if low is None else f"{high}{unit}"
        if low is not None and low > 0:
            return f"≥ {low}{unit}"
    return ""
