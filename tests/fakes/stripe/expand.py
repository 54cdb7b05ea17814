"""`expand[]`: ids replaced by their objects, one dotted path at a time."""

from __future__ import annotations

from typing import Any

from . import envelopes
from .errors import StripeError
from .objects import Json
from .state import Merchant

DEEPEST = 4  # Stripe's own limit.


def expanded(merchant: Merchant, item: Json, paths: list[str]) -> Json:
    """A copy of `item` with every path of `paths` expanded. Raises StripeError 400 for a field that can't be."""
    copy = _copy(item)
    for path in paths:
        steps = path.split(".")
        if len(steps) > DEEPEST:
            message = f"You cannot expand more than {DEEPEST} levels of a property. Property: {path}"
            raise StripeError(400, "invalid_request_error", message, param="expand")
        _expand(merchant, copy, steps, path)
    return copy


def _expand(merchant: Merchant, item: Any, steps: list[str], path: str) -> None:
    step, rest = steps[0], steps[1:]
    if item.get("object") == "list":
        if step != "data":
            raise _refusal(path)
        for member in item["data"]:
            _expand(merchant, member, rest, path)
        return
    part = item.get(step)
    if isinstance(part, dict) and "object" not in part and rest:  # A plain part of an object, as `payment.charge`.
        _expand(merchant, part, rest, path)
        return
    found = _linked(merchant, item, step, path)
    if found is not None:
        item[step] = found
        if rest:
            _expand(merchant, found, rest, path)


def _linked(merchant: Merchant, item: Json, name: str, path: str) -> Json | None:
    """What a field points to: an object already expanded, a copy of the one behind its id, or None for null."""
    kind, billing = item.get("object"), merchant.billing
    if kind == "charge" and name == "refunds" and "refunds" not in item:
        newest = [_copy(refund) for refund in reversed(merchant.refunds.values()) if refund["charge"] == item["id"]]
        return envelopes.listing(f"/v1/charges/{item['id']}/refunds", newest[:10], len(newest) > 10)
    if kind == "checkout.session" and name == "line_items" and "line_items" not in item:
        lines = [_copy(line) for line in merchant.items[item["id"]]]
        return envelopes.listing(f"/v1/checkout/sessions/{item['id']}/line_items", lines, False)
    if kind == "invoice" and name == "payments" and "payments" not in item:
        paid = [_copy(payment) for payment in billing.payments.values() if payment["invoice"] == item["id"]]
        return envelopes.listing(f"/v1/invoice_payments?invoice={item['id']}", paid, False)
    tables = {
        "payment_intent": merchant.intents,
        "latest_charge": merchant.charges,
        "charge": merchant.charges,
        "balance_transaction": merchant.transactions,
        "failure_balance_transaction": merchant.transactions,
        "customer": billing.customers,
        "subscription": billing.subscriptions,
        "latest_invoice": billing.invoices,
        "invoice": billing.invoices,
        "product": billing.products,
        "source": {**merchant.charges, **merchant.refunds, **merchant.disputes},
    }
    optional = kind == "refund" and name == "failure_balance_transaction"
    if name not in tables or (name not in item and not optional):
        raise _refusal(path)
    value = item.get(name)
    if value is None or isinstance(value, dict):
        return value
    return _copy(tables[name][value])


def _refusal(path: str) -> StripeError:
    return StripeError(400, "invalid_request_error", f"This property cannot be expanded ({path}).", param="expand")


def _copy(item: Json) -> Json:
    """A deep copy by hand: what is shared between objects must not be expanded in both."""
    return {key: _copied(value) for key, value in item.items()}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return _copy(value)
    return [_copied(member) for member in value] if isinstance(value, list) else value
