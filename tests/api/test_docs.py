"""docs/api.md against the contract: every example names an operation, sends what it takes, and says what is true."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any
from urllib.parse import parse_qsl

import jsonschema_rs
import pytest

from kameng.env import REPO
from tests.api.conformance import contracts, operation_at

PAGE = (REPO / "docs/api.md").read_text(encoding="utf-8")
ORDER = re.search(r"ORDER='(.+)'", PAGE)
CURL = re.compile(r"^    \$ (curl .+(?:\n        .+)*)$", re.M)
COMMANDS = [one.replace("\\\n", " ") for one in CURL.findall(PAGE)]


def example(command: str) -> tuple[str, str, str, dict[str, str], dict[str, str], Any]:
    """Host, method, address below /api/v1/, query, headers and body of one command."""
    assert ORDER
    words = shlex.split(command.replace('"$ORDER"', f"'{ORDER[1]}'").replace("$(uuidgen)", "46ca8e89"))[1:]
    method, headers, body, address = "", {}, None, ""
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _colon, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "--json":
            body = json.loads(words.pop(0))
        elif word != "-i":
            address = word
    host, _slash, path = address.partition("/")
    path, _mark, query = path.partition("?")
    name = {"$MAIN": "main", "$SHOP": "shop"}[host]
    return name, method or ("GET" if body is None else "POST"), path, dict(parse_qsl(query)), headers, body


def test_there_are_as_many_examples_as_are_read() -> None:
    assert len(COMMANDS) == PAGE.count("$ curl ") == 35


@pytest.mark.parametrize("command", COMMANDS)
class TestAnExample:
    def test_is_of_an_operation_that_there_is(self, command: str) -> None:
        name, method, path, query, headers, _body = example(command)

        operation = operation_at(name, method, path)

        assert operation is not None, (method, path)
        known = {parameter["name"] for parameter in operation.get("parameters", ())}
        assert set(query) <= known
        assert set(headers) - {"Authorization"} <= known
        wanted = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter.get("required")}
        assert wanted - {"number", "code", "slug", "public_id"} <= set(headers) | set(query)
        assert ("Authorization" in headers) == ({} not in operation.get("security", [{}]))

    def test_sends_what_the_operation_takes(self, command: str) -> None:
        name, method, path, _query, _headers, body = example(command)
        operation = operation_at(name, method, path)
        assert operation is not None
        if "sugested" in command:  # The one that shows a refusal.
            return
        assert ("requestBody" in operation) == (body is not None)
        if body is not None:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            whole = {**schema, "components": contracts()[name].document()["components"]}
            problems = [problem.message for problem in jsonschema_rs.Draft202012Validator(whole).iter_errors(body)]
            assert problems == []


def test_says_the_limits_that_hold() -> None:
    from django.conf import settings

    from kameng.web.api import CursorPagination
    from kameng.web.idempotency import KEPT, MAX_KEY

    rates = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]
    assert (rates["anon"], rates["token"]) == ("240/min", "1200/min")
    assert "240 requests a minute for an address without a token, 1,200 for each token" in PAGE
    assert f"up to {MAX_KEY} characters" in PAGE
    assert (KEPT.days, settings.DATA_UPLOAD_MAX_MEMORY_SIZE) == (1, 5 * 1024 * 1024)
    assert "for a day at least" in PAGE
    assert "at most 5 MB" in PAGE
    assert (CursorPagination.page_size, CursorPagination.max_page_size) == (50, 200)
    assert "Fifty rows, or `limit` (1 to 200)" in PAGE
