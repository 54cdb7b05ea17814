"""The pages that Stripe hosts: Checkout, an invoice, the customer portal. Plain, with a button for every deed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import parse_qsl

from .errors import StripeError
from .state import Merchant

_PAGE = """<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>Fake Stripe</title><style>body{{font:16px/1.5 system-ui;max-width:32rem;margin:3rem auto;padding:0 1rem}}
button{{font:inherit;padding:.6rem 1rem;margin:0 .5rem .5rem 0}}table{{width:100%;border-collapse:collapse}}
td{{padding:.4rem 0;border-bottom:1px solid #ddd}}td+td{{text-align:right}}[role=alert]{{color:#b00}}</style>
<h1>{title}</h1>{problem}<table>{rows}</table><form method=post><p>{buttons}</p></form>{link}</html>"""
_SALE: dict[str, Callable[[Merchant, str], Any]] = {
    "pay": Merchant.pay,
    "pay_later": Merchant.pay_later,
    "settle": Merchant.settle,
    "fail": Merchant.fail,
}


@dataclass(frozen=True)
class Gone:
    """The browser is sent on."""

    to: str


def answer(merchant: Merchant, path: str, method: str, body: bytes) -> str | Gone:
    """What a hosted page shows, or where its button leads. Raises StripeError, KeyError for what is not there."""
    action = dict(parse_qsl(body.decode())).get("action", "") if method == "POST" else ""
    kind, id = path.rpartition("/")[::2]
    return {"/c/pay": _checkout, "/i": _invoice, "/p/session": _portal}[kind](merchant, id, action)


def _checkout(merchant: Merchant, id: str, action: str) -> str | Gone:
    session, problem = merchant.sessions[id], ""
    subscribes = session["mode"] == "subscription"
    deeds = [*_SALE] if not subscribes else ["pay", "decline"]
    if action == "decline" and subscribes:
        problem = "Your card was declined."  # The page stays: the customer may take another card.
    elif action:
        if action not in deeds:
            raise KeyError(action)
        _SALE[action](merchant, id)
        return Gone(session["success_url"].replace("{CHECKOUT_SESSION_ID}", id))
    title = f"{_sum(session['amount_total'], session['currency'])} {session['status']}"
    rows = [(line["description"], _sum(line["amount_total"], line["currency"])) for line in merchant.items[id]]
    return _page(title, rows, deeds, problem, ("Back", session["cancel_url"]))


def _invoice(merchant: Merchant, id: str, action: str) -> str | Gone:
    invoice, problem = merchant.billing.invoices[id], ""
    if action:
        try:
            merchant.billing.accept(invoice["customer"]) if action == "pay" else None
            merchant.billing.pay_invoice(id, {})
        except StripeError as error:
            problem = str(error)
    title = f"{_sum(invoice['amount_due'], invoice['currency'])} {invoice['status']}"
    rows = [(line["description"], _sum(line["amount"], line["currency"])) for line in invoice["lines"]["data"]]
    return _page(title, rows, ["pay"] if invoice["status"] == "open" else [], problem, None)


def _portal(merchant: Merchant, id: str, action: str) -> str | Gone:
    visit, billing = merchant.billing.portals[id], merchant.billing
    customer = visit["customer"]
    mine = [row for row in billing.subscriptions.values() if row["customer"] == customer]
    match action:
        case "good_card":
            billing.accept(customer)
        case "bad_card":
            billing.decline(customer)
        case "pay_open":
            for invoice in list(billing.invoices.values()):
                if invoice["customer"] == customer and invoice["status"] == "open":
                    billing.pay_invoice(invoice["id"], {})
        case "cancel":
            for row in mine:
                billing.update_subscription(row["id"], {"cancel_at_period_end": "true"})
    rows = [(row["id"], f"{row['status']}{' · ends' if row['cancel_at_period_end'] else ''}") for row in mine]
    rows += [
        (row["number"] or "draft", f"{_sum(row['amount_due'], row['currency'])} {row['status']}")
        for row in billing.invoices.values()
        if row["customer"] == customer
    ]
    back = ("Back", visit["return_url"])
    return _page("Customer portal", rows, ["good_card", "bad_card", "pay_open", "cancel"], "", back)


def _page(
    title: str, rows: list[tuple[str, str]], buttons: list[str], problem: str, link: tuple[str, str | None] | None
) -> str:
    return _PAGE.format(
        title=escape(title),
        problem=f"<p role=alert>{escape(problem)}</p>" if problem else "",
        rows="".join(f"<tr><td>{escape(left or '')}<td>{escape(right)}" for left, right in rows),
        buttons="".join(f"<button name=action value={name}>{name}</button>" for name in buttons),
        link=f'<a href="{escape(link[1])}">{link[0]}</a>' if link and link[1] else "",
    )


def _sum(amount: int, currency: str) -> str:
    return f"{amount} {currency}"  # Minor units, as the API has them.
