"""Holds plain JSON against the types that the official SDK declares, down to nested objects."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import sys
import types
import typing
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar, Literal, Union, get_args, get_origin

import stripe

_SCALARS: dict[Any, tuple[type, ...]] = {
    bool: (bool,), int: (int,), str: (str,), float: (int, float), Decimal: (str,), type(None): (type(None),),
}  # fmt: skip


def differences(item: Any, annotation: Any, path: str) -> list[str]:
    """What is wrong with `item` as a value of `annotation`, in words; empty when it conforms.

    Both ways: a field the SDK does not know is wrong, and so is the lack of one it declares without Optional.
    A word outside a documented enumeration is wrong even where the SDK would let any string pass.
    """
    if annotation is Any:
        return []
    if annotation in _SCALARS:
        fits = isinstance(item, _SCALARS[annotation]) and (annotation is bool or not isinstance(item, bool))
        return [] if fits else [f"{path}: {item!r} is not {annotation.__name__}"]
    origin = get_origin(annotation)
    if origin is Literal:
        return [] if item in get_args(annotation) else [f"{path}: {item!r} is not one of {get_args(annotation)}"]
    if origin in (Union, types.UnionType):
        return _union(item, get_args(annotation), path)
    if origin is list:
        if not isinstance(item, list):
            return [f"{path}: {item!r} is not a list"]
        (member,) = get_args(annotation)
        return [wrong for index, entry in enumerate(item) for wrong in differences(entry, member, f"{path}[{index}]")]
    if origin is stripe.ListObject:
        if not isinstance(item, dict) or set(item) != {"object", "data", "has_more", "url"}:
            return [f"{path}: {item!r} is not a list object"]
        return differences(item["data"], list[get_args(annotation)[0]], f"{path}.data")  # type: ignore[misc]
    if origin is not None and issubclass(origin, stripe.StripeObject):  # UntypedStripeObject[str]: a free mapping.
        return [] if isinstance(item, dict) else [f"{path}: {item!r} is not an object"]
    return _object(item, annotation, path)


def _union(item: Any, members: tuple[Any, ...], path: str) -> list[str]:
    if item is None:
        return [] if type(None) in members else [f"{path}: null"]
    words = [member for member in members if get_origin(member) is Literal]
    if words and isinstance(item, str):  # `Literal[…] | str` is the SDK's way to stay open; a fake stays within it.
        members = tuple(words)
    objects = [member for member in members if isinstance(member, type) and issubclass(member, stripe.StripeObject)]
    named = [member for member in objects if isinstance(item, dict) and _name(member) == item.get("object")]
    tried = [differences(item, member, path) for member in (named or members) if member is not type(None)]
    return [] if [] in tried else min(tried, key=len)


def _object(item: Any, declared: type, path: str) -> list[str]:
    if not isinstance(item, dict):
        return [f"{path}: {item!r} is not an object"]
    fields = fields_of(declared)
    wrong = [f"{path}.{name}: not a field of {declared.__qualname__}" for name in item if name not in fields]
    wrong += [f"{path}.{name}: missing" for name, kind in fields.items() if name not in item and not _may_be_null(kind)]
    for name in item.keys() & fields.keys():
        wrong += differences(item[name], fields[name], f"{path}.{name}")
    return wrong


def fields_of(declared: type) -> dict[str, Any]:
    """A class's own fields with their types, forward references resolved."""
    hints = typing.get_type_hints(declared, vars(sys.modules[declared.__module__]), _Names(declared))
    return {
        name: hint
        for name, hint in hints.items()
        if name in declared.__annotations__ and get_origin(hint) is not ClassVar
    }


class _Names(dict[str, Any]):
    """Where a forward reference is looked for: the class, its module, and what that imports for type checkers only."""

    def __init__(self, declared: type) -> None:
        super().__init__(vars(declared))
        self._module = declared.__module__

    def __missing__(self, name: str) -> Any:
        if hasattr(sys.modules[self._module], name):
            return getattr(sys.modules[self._module], name)
        if name in _imports(self._module):
            return getattr(*_imports(self._module)[name])
        return getattr(builtins, name)


@cache
def _imports(module: str) -> dict[str, tuple[types.ModuleType, str]]:
    """Every `from x import y as z` of a module, those under TYPE_CHECKING among them, as z: (x, y)."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {
        alias.asname or alias.name: (importlib.import_module(node.module), alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _may_be_null(kind: Any) -> bool:
    return kind is Any or type(None) in get_args(kind)


def _name(declared: type) -> str:
    return str(getattr(declared, "OBJECT_NAME", ""))
