"""Hold what an endpoint answered against what its host's contract says: status, type, headers and shape.

`Api.call` asks this of every answer, so each test of the API is a test of its document, too.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import jsonschema_rs

METHODS = ("get", "post", "put", "patch", "delete")


def contracts() -> dict[str, Any]:
    from kameng import api_main, api_tenant

    return {"main": api_main.CONTRACT, "shop": api_tenant.CONTRACT}


@lru_cache
def operation_at(name: str, method: str, path: str) -> dict[str, Any] | None:
    """The operation behind an address below /api/v1/, without its query; None where the contract has none."""
    paths = contracts()[name].document()["paths"]
    for template in sorted(paths, key=lambda one: one.count("{")):  # `challenge/` before `{public_id}/`.
        pattern = re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, f"/api/v1/{path}"):
            found: dict[str, Any] | None = paths[template].get(method.lower())
            return found
    return None


def check(host: str, method: str, path: str, status: int, headers: Any, body: Any) -> None:
    """Fails the test that asked when the answer is not one of those that are written down."""
    name = "main" if host == "localhost" else "shop"
    operation = operation_at(name, method, path.partition("?")[0])
    if operation is None:
        return
    where = f"{operation['operationId']}: {status}"
    assert str(status) in operation["responses"], f"{where} is not written down: {body}"
    answer = operation["responses"][str(status)]
    for header, written in answer.get("headers", {}).items():
        assert header in headers or not written.get("required"), f"{where} came without its {header}"
    if "content" not in answer:
        assert body is None, f"{where} has a body: {body}"
        return
    ((kind, content),) = answer["content"].items()
    assert headers["Content-Type"] == kind, where
    problems = [
        f"{problem.instance_path}: {problem.message}" for problem in _validator(name, content).iter_errors(body)
    ]
    assert problems == [], where


def _validator(name: str, content: dict[str, Any]) -> Any:
    return _of_schema(name, repr(content["schema"]))


@lru_cache
def _of_schema(name: str, text: str) -> Any:
    """The text is the schema's own, as Python writes it: a key that can be kept."""
    import ast

    schema = {**ast.literal_eval(text), "components": contracts()[name].document()["components"]}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
