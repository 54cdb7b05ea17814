"""What owners read about their plan: that money is due, what happens when, that all is well again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.core.mail import send_mail
from django.utils import translation
from django.utils.translation import gettext as _

from kameng.db.context import in_main
from kameng.lib.money import format_minor
from shared_apps.billing import selectors, texts
from shared_apps.billing.models import Invoice, Subscription
from shared_apps.billing.states import Method
from tenants.models import Substation

Words = tuple[str, str]


def send(*, substation_id: int, what: str, details: dict[str, Any]) -> bool:
    """Mail the owner of a substation; answers whether there was something to say. The network is used after the
    reading transaction has ended."""
    with in_main():
        shop = Substation.objects.select_related("plan").get(pk=substation_id)
        row = selectors.subscription(substation_id)
        invoice = Invoice.objects.filter(number=details.get("invoice") or "", substation_id=substation_id).first()
    make = _WORDS.get(what)
    if make is None or row is None or not shop.owner_email:
        return False
    with translation.override(shop.language):
        subject, body = make(shop, row, invoice, details)
        link = _("Your plan and your invoices:")
        send_mail(subject, f"{body}\n\n{link}\n{shop.url}/panel/billing/\n", None, [shop.owner_email])
    return True


def _sum(shop: Substation, invoice: Invoice | None) -> str:
    return format_minor(invoice.total_minor, shop.currency) if invoice else ""


def _day(at: datetime) -> str:
    return f"{at.astimezone(texts.zone()):%Y-%m-%d}"


def _due(shop: Substation, row: Subscription, invoice: Invoice | None, details: dict[str, Any]) -> Words:
    subject = _("%(shop)s: %(sum)s is due for your plan") % {"shop": shop.name, "sum": _sum(shop, invoice)}
    return subject, _deadlines(row, invoice)


def _deadlines(row: Subscription, invoice: Invoice | None) -> str:
    if row.read_only_at is None or row.shuts_at is None:
        return _("It has been paid meanwhile. Nothing is left to do.")
    number = invoice.number if invoice else ""
    by_card = _(
        "Invoice %(number)s could not be charged to your card. Your shop goes on selling. Please have the card tried again "
        "or use another one: from %(read_only)s on the panel can only be looked at, and on %(shut)s the storefront closes. "
        "When you pay, everything is back at once, and nothing is lost."
    )
    from_balance = _(
        "Invoice %(number)s could not be paid from your prepaid balance. Your shop goes on selling. Please top up: "
        "from %(read_only)s on the panel can only be looked at, and on %(shut)s the storefront closes. When you pay, "
        "everything is back at once, and nothing is lost."
    )
    body = by_card if row.method == Method.STRIPE else from_balance
    return body % {"number": number, "read_only": _day(row.read_only_at), "shut": _day(row.shuts_at)}


def _reminder(shop: Substation, row: Subscription, invoice: Invoice | None, details: dict[str, Any]) -> Words:
    subject = _("%(shop)s: reminder, %(sum)s is still due") % {"shop": shop.name, "sum": _sum(shop, invoice)}
    return subject, _deadlines(row, invoice)


def _read_only(shop: Substation, row: Subscription, invoice: Invoice | None, details: dict[str, Any]) -> Words:
    subject = _("%(shop)s: the panel can only be looked at until %(sum)s is paid") % {
        "shop": shop.name, "sum": _sum(shop, invoice)
    }  # fmt: skip
    return subject, _deadlines(row, invoice)


def _shut(shop: Substation, row: Subscription, invoice: Invoice | None, details: dict[str, Any]) -> Words:
    subject = _("%(shop)s: the storefront is closed until %(sum)s is paid") % {
        "shop": shop.name, "sum": _sum(shop, invoice)
    }  # fmt: skip
    body = _(
        "Visitors see a notice. What was bought is still shown and delivered, and your data is kept. When you pay, the "
        "shop is open again at once."
    )
    return subject, body


def _paid(shop: Substation, row: Subscription, invoice: Invoice | None, details: dict[str, Any]) -> Words:
    return (
        _("%(shop)s: paid, thank you") % {"shop": shop.name},
        _("Everything works again as before. Nothing was lost."),
    )


def _renewed(shop: Substation, row: Subscription, invoice: Invoice | None, details: dict[str, Any]) -> Words:
    subject = _("%(shop)s: invoice %(number)s, paid") % {"shop": shop.name, "number": invoice.number if invoice else ""}
    end = f"{row.period_end.astimezone(texts.zone()):%Y-%m-%d}" if row.period_end else ""
    body = _("%(sum)s was taken from your prepaid balance. Your plan runs until %(end)s.")
    return subject, body % {"sum": _sum(shop, invoice), "end": end}


def _notice(shop: Substation, row: Subscription, invoice: Invoice | None, details: dict[str, Any]) -> Words:
    end = row.trial_ends_at or row.period_end
    day = f"{end.astimezone(texts.zone()):%Y-%m-%d}" if end else ""
    subject = _("%(shop)s: please top up before %(day)s") % {"shop": shop.name, "day": day}
    plan, interval = (row.next_plan, row.next_interval) if row.next_plan else (row.plan, row.interval)
    fee = format_minor(plan.period_fee_minor(interval), shop.currency)
    body = _("On %(day)s your next period begins, and your prepaid balance does not cover its %(fee)s.")
    return subject, body % {"day": day, "fee": fee}


def _ended(shop: Substation, row: Subscription, invoice: Invoice | None, details: dict[str, Any]) -> Words:
    return (
        _("%(shop)s: your subscription has ended") % {"shop": shop.name},
        _("The storefront is closed, and your data is kept. Choose a plan in the panel, and it is open again at once."),
    )


def _downgrade_off(shop: Substation, row: Subscription, invoice: Invoice | None, details: dict[str, Any]) -> Words:
    reasons = "\n".join(f"- {reason}" for reason in details.get("reasons", []))
    body = _("More is in use than the smaller plan holds, so that your shop stays on its present plan:")
    return _("%(shop)s: the plan was not changed") % {"shop": shop.name}, f"{body}\n\n{reasons}"


_WORDS: dict[str, Callable[[Substation, Subscription, Invoice | None, dict[str, Any]], Words]] = {
    "due": _due,
    "reminder": _reminder,
    "read_only": _read_only,
    "shut": _shut,
    "paid": _paid,
    "renewed": _renewed,
    "notice": _notice,
    "ended": _ended,
    "downgrade_off": _downgrade_off,
}
