"""The API's table: which request does what."""

from __future__ import annotations

import re
from typing import Any

from . import envelopes
from .errors import StripeError, invalid
from .objects import Json
from .state import Merchant

_NAMES = (
    "checkout/sessions|billing_portal/sessions|payment_intents|charges|refunds|balance_transactions|disputes|events|"
    "customers|products|prices|subscriptions|subscription_schedules|invoices|invoiceitems|invoice_payments"
)
_PATH = re.compile(rf"/v1/({_NAMES})(?:/([A-Za-z0-9_]+))?(?:/(expire|line_items|pay|lines|release))?")
_FILTERS = (
    "charge", "payment_intent", "type", "status", "customer", "subscription", "email", "invoice", "active", "product",
    "payment",
)  # fmt: skip


def route(merchant: Merchant, method: str, path: str, params: Json) -> Json:
    """Carry a request out. Raises StripeError."""
    billing = merchant.billing
    tables: dict[str, tuple[dict[str, Json], str]] = {
        "checkout/sessions": (merchant.sessions, "checkout.session"),
        "payment_intents": (merchant.intents, "payment_intent"),
        "charges": (merchant.charges, "charge"),
        "refunds": (merchant.refunds, "refund"),
        "balance_transactions": (merchant.transactions, "balance_transaction"),
        "disputes": (merchant.disputes, "dispute"),
        "events": (merchant.events, "event"),
        "customers": (billing.customers, "customer"),
        "products": (billing.products, "product"),
        "prices": (billing.prices, "price"),
        "subscriptions": (billing.subscriptions, "subscription"),
        "subscription_schedules": (billing.schedules, "subscription_schedule"),
        "invoices": (billing.invoices, "invoice"),
        "invoiceitems": (billing.items, "invoiceitem"),
        "invoice_payments": (billing.payments, "invoice_payment"),
        "billing_portal/sessions": (billing.portals, "billing_portal.session"),
    }
    match = _PATH.fullmatch(path)
    if match is None:
        raise _unknown(method, path)
    name, id, verb = match[1], match[2], match[3]
    table, word = tables[name]
    match method, name, id, verb:
        case "POST", "checkout/sessions", None, None:
            return merchant.create_session(params)
        case "POST", "checkout/sessions", str(), "expire":
            return merchant.expire_session(id)
        case "GET", "checkout/sessions", str(), "line_items":
            merchant.find(table, id, word)
            return envelopes.listing(path, merchant.items[id], False)
        case "POST", "refunds", None, None:
            return merchant.create_refund(params)
        case "POST", "customers", None, None:
            return billing.create_customer(params)
        case "POST", "products", None, None:
            return billing.create_product(params)
        case "POST", "invoiceitems", None, None:
            return billing.create_invoice_item(params)
        case "POST", "invoices", "create_preview", None:
            return billing.preview(params)
        case "POST", "invoices", str(), "pay":
            return billing.pay_invoice(id, params)
        case "GET", "invoices", str(), "lines":
            lines = merchant.find(table, id, word)["lines"]["data"]
            return envelopes.listing(path, billing.full_lines.get(id, lines), False)
        case "POST", "subscriptions", str(), None:
            return billing.update_subscription(id, params)
        case "DELETE", "subscriptions", str(), None:
            return billing.cancel_subscription(id, params)
        case "POST", "subscription_schedules", None, None:
            return billing.create_schedule(params)
        case "POST", "subscription_schedules", str(), None:
            return billing.update_schedule(id, params)
        case "POST", "subscription_schedules", str(), "release":
            return billing.release_schedule(id, params)
        case "POST", "billing_portal/sessions", None, None:
            return billing.create_portal(params)
        case "GET", "billing_portal/sessions", _, _:  # A visit can't be asked for again.
            raise _unknown(method, path)
        case "GET", _, str(), None:
            return merchant.find(table, id, word)
        case "GET", _, None, None:
            return _page_of(table, name, path, params)
    raise _unknown(method, path)


def _unknown(method: str, path: str) -> StripeError:
    return StripeError(404, "invalid_request_error", f"Unrecognized request URL ({method}: {path}).")


def _page_of(table: dict[str, Json], name: str, path: str, params: Json) -> Json:
    """A list, newest first, with the filters and the paging that Stripe's lists share."""
    if unknown := set(params) - {"limit", "starting_after", "created", "ids", *_FILTERS}:
        raise invalid(f"Received unknown parameter: {', '.join(sorted(unknown))}", code="parameter_unknown")
    rows = list(reversed(table.values()))
    if name == "subscriptions" and "status" not in params:  # Ended ones are listed only when they are asked for.
        rows = [row for row in rows if row["status"] != "canceled"]
    elif name == "subscriptions" and params["status"] == "all":
        params = {key: value for key, value in params.items() if key != "status"}
    created = params.get("created", {})
    for bound, test in {"gte": int.__ge__, "gt": int.__gt__, "lte": int.__le__, "lt": int.__lt__}.items():
        if bound in created:
            rows = [row for row in rows if test(row["created"], int(created[bound]))]
    for filter in _FILTERS:
        if filter in params:
            rows = [row for row in rows if _value(row, filter) == params[filter]]
    if "ids" in params:
        rows = [row for row in rows if row["id"] in params["ids"]]
    if "starting_after" in params:
        ids = [row["id"] for row in rows]
        rows = rows[ids.index(params["starting_after"]) + 1 :]
    limit = int(params.get("limit", "10"))
    return envelopes.listing(path, rows[:limit], len(rows) > limit)


def _value(row: Json, name: str) -> Any:
    if name == "subscription" and row["object"] == "invoice":
        return row["parent"]["subscription_details"]["subscription"]
    value = row.get(name)
    return str(value).lower() if isinstance(value, bool) else value
