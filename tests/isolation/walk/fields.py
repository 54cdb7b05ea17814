"""What is sent along: for every name that any form, view or endpoint of the project reads, something of Bob's.

The names are found by reflection: all form classes, `request.GET`/`POST` in the sources, the API's own contract. Texts that
are kept are the attacker's own, so that none of Bob's marks comes into Alice's pages by being typed there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from django import forms
from django.core import signing
from django.urls import get_resolver

from kameng.accounts import support
from kameng.db.context import in_main
from kameng.lib.ids import public_id
from tenants.views import ENTER_SALT
from tests.api.conformance import contracts
from tests.isolation.walk.routes import HOSTS, Route
from tests.isolation.walk.scene import Scene, Side

ROOT = Path(__file__).resolve().parents[3]
READ = re.compile(r"(?:GET|POST)(?:\.get|\.getlist)?[(\[]\s*\"([a-z_]+)\"")
NOTHING = "typed by a neighbour"
# Names that carry an id, a secret or an address: what an attacker would put there. All else gets a value of its kind.
BOBS: dict[str, Callable[[Scene, Side], Any]] = {
    "account": lambda scene, held: scene.bob.account.id,
    "again": lambda scene, held: scene.bob.signup.signup.public_id,
    "category": lambda scene, held: "cards",
    "channel_id": lambda scene, held: scene.bob.account.public_id,
    "code": lambda scene, held: scene.bob.sold["manual"].code,
    "contact": lambda scene, held: "neighbour@example.net",
    "email": lambda scene, held: scene.bob.users["VIEWER"].email,
    "expected_total_minor": lambda scene, held: 8765431,
    "ids": lambda scene, held: scene.bob.sold["manual"].sku_id,
    "line_id": lambda scene, held: scene.bob.lines["queued"],
    "next": lambda scene, held: f"http://{scene.bob.host}/panel/",
    "number": lambda scene, held: scene.bob.orders["paid"].number,
    "pass": lambda scene, held: _entry_pass(held),
    "password": lambda scene, held: "a neighbour guesses 11",
    "present": lambda scene, held: "a neighbour guesses 12",
    "product": lambda scene, held: scene.bob.sold["manual"].product_id,
    "q": lambda scene, held: scene.bob.secret_marks["buyer"],
    "secret": lambda scene, held: held.orders["paid"].lookup_secret,
    "seen_sku": lambda scene, held: scene.bob.sold["manual"].sku_id,
    "shop": lambda scene, held: scene.bob.shop.slug,
    "sku": lambda scene, held: scene.bob.sold["manual"].sku_id,
    "sku_id": lambda scene, held: scene.bob.sold["manual"].sku_id,
    "substation": lambda scene, held: scene.bob.shop.public_id,
    "support_pass": lambda scene, held: support_pass(held),
    "target_id": lambda scene, held: scene.bob.sold["manual"].sku_id,
}


def support_pass(held: Side) -> str:
    """The console's pass into the panel of whoever's secrets are held, without the record that making one leaves."""
    claim = {"schema": held.shop.schema_name, "substation": held.shop.public_id, "access": public_id("vis"), "who": "Mia",
             "user": 1, "reason": "the walk"}  # fmt: skip
    return signing.dumps(claim, salt=support._SALT)


def _entry_pass(held: Side) -> str:
    """The main station's pass into the panel of whoever's secrets are held."""
    claim = {"schema": held.shop.schema_name, "email": held.secret_marks["owner"]}
    return signing.dumps(claim, salt=ENTER_SALT)


@lru_cache
def read_names() -> dict[str, Any]:
    """Every name that a page reads, with the form field that it belongs to, or None where a view reads it itself."""
    names: dict[str, Any] = {}
    for folder in ("src", "tenants", "shared_apps", "tenant_apps"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            names.update(dict.fromkeys(READ.findall(path.read_text(encoding="utf-8"))))
    for host in HOSTS.values():
        assert get_resolver(host).url_patterns  # Imports every view, and with it every form.
    for form in _forms(forms.BaseForm):
        names.update(getattr(form, "base_fields", {}))
    return names


def _forms(kind: type[Any]) -> Iterator[type[Any]]:
    for below in kind.__subclasses__():
        yield below
        yield from _forms(below)


def sink(scene: Scene, held: Side) -> dict[str, Any]:
    """One value for every name, for a form: whatever a page reads, it finds. `held`: whose secrets the attacker has."""
    kinds = _of_kinds()
    return {name: BOBS[name](scene, held) if name in BOBS else kinds[name] for name in kinds if name not in LEFT_OUT}


@lru_cache
def _of_kinds() -> dict[str, Any]:
    with in_main():  # Some choices are rows: plans, levels.
        return {name: _of_kind(field) for name, field in read_names().items()}


# Read by every page: the language is the reader's own, and a file has one answer for all.
LEFT_OUT = frozenset({"lang", "export", "format"})


def query(scene: Scene, held: Side) -> dict[str, Any]:
    """What goes into an address: filters that are not understood filter nothing, so all names may stand in one."""
    return {name: value for name, value in sink(scene, held).items() if name not in ("password", "present")}


def _of_kind(field: Any) -> Any:
    """Something that the field takes, where its kind says what that is."""
    if isinstance(field, forms.BooleanField):
        return "on"
    if isinstance(field, forms.ChoiceField):
        choices = [value for value, _label in field.choices if value]
        return str(choices[0]) if choices else ""
    if isinstance(field, (forms.IntegerField, forms.DecimalField)):
        return "7"
    if isinstance(field, (forms.DateField, forms.FileField)):
        return ""
    return NOTHING if field is not None else "1"


def body(route: Route, method: str, scene: Scene, held: Side) -> Any:
    """What the API's contract says that this operation takes, with Bob's ids in it; None where it takes nothing."""
    document = contracts()[route.host].document()
    path = "/" + re.sub(r"<[a-z]+:([a-z_]+)>", r"{\1}", route.text)
    operation = document["paths"].get(path, {}).get(method, {})
    for content in operation.get("requestBody", {}).get("content", {}).values():
        return _made(content["schema"], document["components"]["schemas"], scene, held, "")
    return None


def _made(schema: Any, shapes: Any, scene: Scene, held: Side, name: str) -> Any:
    if "$ref" in schema:
        return _made(shapes[schema["$ref"].rpartition("/")[2]], shapes, scene, held, name)
    for several in ("allOf", "oneOf", "anyOf"):
        if several in schema:
            return _made(schema[several][0], shapes, scene, held, name)
    kinds = schema.get("type", "string")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "object":
        inner = schema.get("properties", {})
        return {key: _made(value, shapes, scene, held, key) for key, value in inner.items()}
    if kind == "array":
        return [_made(schema.get("items", {}), shapes, scene, held, name)]
    if name in BOBS and name not in ("category", "product", "sku"):
        value = BOBS[name](scene, held)
        return value if kind in ("integer", "number") else str(value)
    if "enum" in schema:
        return schema["enum"][0]
    return {"boolean": True, "integer": 7, "number": 7, "null": None}.get(
        kind, "7" if schema.get("pattern") else NOTHING
    )
