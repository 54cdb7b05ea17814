"""Words for what is stored as codes: rules, audit actions, ledger kinds and parts, the steps of an order."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from kameng.accounts import deeds
from kameng.lib import money
from kameng.lib.words import Sentence, worded
from tenant_apps.listings.models import MarkupRule
from tenant_apps.listings.states import Rounding, RuleKind
from tenant_apps.orders.models import OrderStep
from tenants.limits import Countable, Limit

ACTIONS: dict[str, Sentence] = {
    **deeds.ACTIONS,
    "listings.category.hide": _("Showed or hid a category"),
    "listings.price.set": _("Set a price rule"),
    "listings.price.set_many": _("Priced chosen SKUs"),
    "listings.price.unset": _("Took a price rule away"),
    "listings.product.edit": _("Changed the texts of a product"),
    "listings.shelf.set": _("Changed the shelf"),
    "listings.sync.repeat": _("Goods were synced again"),
    "orders.codes.revealed": _("Looked at codes"),
    "orders.line.delivered": _("Delivered by hand"),
    "orders.order.cancelled": _("Cancelled an order"),
    "panel.offer.declined": _("Declined an offer of the region"),
    "panel.offer.taken": _("Took an offer of the region"),
    "panel.order.link": _("Opened the buyer's page"),
    "panel.order.refund_asked": _("Gave an order's money back"),
    "panel.owner.created": _("The owner's log-in was made"),
    "panel.owner.entered": _("The owner came from the signup"),
    "panel.staff.activated": _("Let somebody in again"),
    "panel.staff.deactivated": _("Locked somebody out"),
    "panel.staff.invited": _("Invited somebody"),
    "panel.staff.role": _("Changed a role"),
    "support.entered": _("The main station's support looked in"),
    "support.left": _("The support's visit ended"),
    "shop.first_step.done": _("Did a first step"),
    "shop.logo.removed": _("Took the logo away"),
    "shop.logo.set": _("Chose a logo"),
    "shop.settings.updated": _("Changed the shop settings"),
}
KINDS: dict[str, Sentence] = {
    "opening": _("Opening balance"),
    "sale": _("Sale"),
    "refund": _("Refund"),
    "reversal": _("Reversal"),
    "adjustment": _("Adjustment"),
    "case": _("Payment case"),
    "hold": _("Hold"),
    "hold.post": _("Hold posted"),
    "hold.void": _("Hold voided"),
    "invoice": _("Plan invoice"),
    "credit_note": _("Credit note"),
    "topup": _("Prepaid top-up"),
    "deposit": _("Deposit taken"),
    "deposit.return": _("Deposit returned"),
}
ACCOUNTS: dict[str, Sentence] = {
    "": _("All accounts"),
    "pending": pgettext_lazy("balance", "Pending"),
    "available": pgettext_lazy("balance", "Available"),
    "withdrawing": _("Being paid out"),
    "prepaid": _("Prepaid balance"),
    "deposit": _("Deposit"),
    "receivable": _("Owed to the main station"),
}
ACCOUNT_NOTES: dict[str, Sentence] = {
    "pending": _("Earned, and not settled yet"),
    "available": _("Settled, and yours to withdraw"),
    "withdrawing": _("On its way to your bank"),
    "prepaid": _("Lodged with the main station"),
    "deposit": _("Kept as security"),
    "receivable": _("Taken from the next settlement"),
}
PARTS: dict[str, Sentence] = {
    "supply": _("Supply cost"),
    "plan": _("Plan invoice"),
    "platform_fee": _("Platform fee"),
    "channel_fee": _("Channel's fee"),
    "partner": _("Partners"),
    "tax": _("Tax"),
    "subsidy": _("Subsidy of the main station"),
    "pending": pgettext_lazy("shop", "You earn"),
    "other": _("Others"),
}
PROBLEMS: dict[str, Sentence] = {
    "below_cost": _("Below cost and fees."),
    "below_floor": _("Below the lowest price allowed."),
    "above_ceiling": _("Above the highest price allowed."),
}
CHANNELS: dict[str, Sentence] = {"testpay": _("Test channel"), "stripe": "Stripe"}
# Why a payment did not fit its order; the first word of what the order's history says of it.
MISFITS: dict[str, Sentence] = {
    "LATE": _("Paid late"),
    "SHORT": _("Paid too little"),
    "OVER": _("Paid too much"),
    "DOUBLE": _("Paid twice"),
    "CURRENCY": _("Paid in another currency"),
    "NO_STOCK": _("Paid, but sold out"),
    "STUCK": _("Paid, but could not be settled"),
}
# (subject, event): title, tone, icon.
STEPS: dict[tuple[str, str], tuple[Sentence, str, str]] = {
    ("ORDER", "PLACE"): (_("Order placed"), "info", "cart"),
    ("ORDER", "PAY"): (_("Payment received"), "success", "wallet"),
    ("ORDER", "REVIVE"): (_("Payment received after the time was over"), "warning", "wallet"),
    ("ORDER", "DELIVER"): (_("Everything delivered"), "success", "check"),
    ("ORDER", "EXPIRE"): (_("The time to pay ran out"), "neutral", "clock"),
    ("ORDER", "CANCEL"): (_("Order cancelled"), "neutral", "x"),
    ("ORDER", "REFUND"): (_("Money given back"), "warning", "refresh"),
    ("PAYMENT", "BEGIN"): (_("Payment begun"), "neutral", "card"),
    ("PAYMENT", "OPEN"): (_("The channel opened a payment"), "neutral", "card"),
    ("PAYMENT", "TIME_OUT"): (_("The channel did not answer"), "warning", "clock"),
    ("PAYMENT", "SUCCEED"): (_("The channel says it is paid"), "success", "card"),
    ("PAYMENT", "FAIL"): (_("A payment attempt failed"), "danger", "alert"),
    ("PAYMENT", "EXPIRE"): (_("A payment attempt ran out of time"), "neutral", "clock"),
    ("PAYMENT", "REFUND"): (_("The channel gave the money back"), "warning", "refresh"),
    ("DELIVERY", "QUEUE"): (_("Waits to be delivered by hand"), "warning", "user"),
    ("DELIVERY", "DELIVER"): (_("Delivered"), "success", "package"),
    ("DELIVERY", "CANCEL"): (_("Delivery cancelled"), "neutral", "x"),
    ("DELIVERY", "REQUEUE"): (_("Wanted again"), "info", "refresh"),
}
_ACTORS: dict[str, Sentence] = {
    "BUYER": pgettext_lazy("actor", "Buyer"),
    "SYSTEM": pgettext_lazy("actor", "System"),
}


def plain(amount: Decimal) -> str:
    """A number as a person types it: 12, 0.5."""
    return f"{amount.normalize():f}"


def rule_words(rule: MarkupRule) -> str:
    """A rule in short: "+12%", "+¥1.50", "¥98.80", "Suggested price"."""
    symbol = settings.CURRENCY
    if rule.kind == RuleKind.PERCENT:
        return f"+{plain(rule.value)}%"
    if rule.kind == RuleKind.FIXED:
        return f"+{money.format_unit(rule.value, symbol)}"
    if rule.kind == RuleKind.PRICE:
        return money.format_unit(rule.value, symbol)
    return str(_("Suggested price"))


def rounding_words(rule: MarkupRule) -> str:
    """How it rounds, or nothing where that says nothing."""
    if rule.kind in (RuleKind.PRICE, RuleKind.SUGGESTED) or rule.rounding == Rounding.NONE:
        return ""
    return str(Rounding(rule.rounding).label)


def actor_words(kind: str, label: str) -> Sentence:
    """Who did it: a person's or a program's own name, or the word for everybody else."""
    return CHANNELS.get(label, label) if kind == "CHANNEL" else _ACTORS.get(kind, label)


def step_event(step: OrderStep, goods: Mapping[str, str]) -> dict[str, Any]:
    """A step for `<c-timeline>`. `goods`: what a delivery's step says → the same in the reader's language."""
    title, tone, icon = STEPS.get(
        (step.subject, step.event), (step.event.replace("_", " ").capitalize(), "neutral", "activity")
    )
    if misfit_of(step):
        tone, icon = "warning", "alert"
    return {
        "at": step.at, "by": actor_words(step.by_kind, step.by_label), "title": title, "tone": tone, "icon": icon,
        "text": goods.get(step.note, "") or _note_words(step), "url": "",
    }  # fmt: skip


def misfit_of(step: OrderStep) -> Sentence:
    """Why the payment of this step did not fit the order, or nothing."""
    return MISFITS.get(step.note.partition(" ")[0], "") if step.subject == "PAYMENT" else ""


def _note_words(step: OrderStep) -> Sentence:
    """A machine's note in words ("testpay rcp_1" → "Test channel · rcp_1"); what a person wrote stays as it is."""
    if step.subject not in ("ORDER", "PAYMENT"):
        return step.note
    first, _space, rest = step.note.partition(" ")
    known = MISFITS.get(first) or CHANNELS.get(first)
    return step.note if known is None else f"{known} · {rest}" if rest else known


def actions_like(query: str) -> list[str]:
    """Deeds whose words, in the reader's language, hold what was typed."""
    return deeds.like(ACTIONS, query)


def action_words(action: str) -> Sentence:
    """What somebody did; the stored name where it has no words."""
    return ACTIONS.get(action, action)


_LIMITS: dict[Countable, tuple[Sentence, Sentence]] = {
    Countable.LISTINGS: (
        _("%(used)s of %(bound)s SKUs on the shelf"),
        _("New goods wait off the shelf. Take some off to make room, or choose a bigger plan."),
    ),
    Countable.STAFF: (
        _("%(used)s of %(bound)s people may log in"),
        _("Nobody else can be invited. Lock somebody out, or choose a bigger plan."),
    ),
}


def limit_words(limit: Limit) -> dict[str, Any]:
    """What `panel/_limit.html` needs to say how much of the plan is used."""
    told, full = _LIMITS[limit.kind]
    bound = f"{limit.bound:,}" if limit.bound is not None else ""
    return {"limit": limit, "limit_words": worded(told, used=f"{limit.used:,}", bound=bound), "limit_full": full}
