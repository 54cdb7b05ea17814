"""Words for values that reach the main station as plain text, and addresses of what they name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from kameng.accounts import deeds
from kameng.lib import money
from kameng.lib.words import Sentence, in_english, worded
from shared_apps.receipts.models import CaseKind, Resolution
from shared_apps.regions.states import LeadState

# The states of a substation's order, as the network's copy holds them; their transitions are the shop's own business.
ORDER_STATES: dict[str, Sentence] = {
    "PENDING_PAYMENT": _("Waiting for payment"),
    "PAID": _("Paid"),
    "DELIVERED": _("Delivered"),
    "EXPIRED": _("Expired"),
    "CANCELLED": _("Cancelled"),
    "REFUNDED": _("Refunded"),
}
JOB_STATES: dict[str, Sentence] = {
    "PENDING": _("Waiting"),
    "RUNNING": _("Under way"),
    "DONE": _("Done"),
    "FAILED": _("Gave up"),
}
FEEDS: dict[str, Sentence] = {
    "LIBRARY": _("Products and prices"),
    "STOCK": pgettext_lazy("sync feed", "Stock"),
    "STATEMENT": _("Statement"),
}
FEED_STATES: dict[str, Sentence] = {
    "UP_TO_DATE": _("Up to date"),
    "BEHIND": _("Behind"),
    "FAILED": _("Failed"),
    "WAITING": _("Never ran"),
}
LEVEL_STATES: dict[str, Sentence] = {
    "OUT": _("Sold out"),
    "LOW": _("Low"),
    "IN_STOCK": _("In stock"),
}
REGION_STATES: dict[str, Sentence] = {"FREE": pgettext_lazy("region", "Free"), "HELD": pgettext_lazy("region", "Held")}
GRANT_TIMES: dict[str, Sentence] = {"now": _("In force"), "later": _("To come"), "over": _("Over")}
LEAD_STATES: dict[str, Sentence] = {"WAITING": _("For you"), **dict(LeadState.choices)}
RUN_SUBJECTS: dict[str, Sentence] = {"LIBRARY": _("Products"), "CODES": _("Codes"), "TERMS": _("Private terms")}
TERM_STATES: dict[str, Sentence] = {
    "IN_FORCE": pgettext_lazy("terms", "In force"),
    "TO_COME": pgettext_lazy("terms", "To come"),
    "ENDED": pgettext_lazy("terms", "Ended"),
}
ACTOR_KINDS: dict[str, Sentence] = {
    "USER": _("Person"),
    "TOKEN": _("Program"),
    "SYSTEM": _("System"),
    "BUYER": _("Buyer"),
    "CHANNEL": _("Payment channel"),
    "SUPPORT": _("Support"),
}
ACTIONS: dict[str, Sentence] = {
    **deeds.ACTIONS,
    "support.asked": _("Asked to look into the shop as support"),
    "support.entered": _("Looked into the shop as support"),
    "support.left": _("Left the shop"),
    "billing.debt.repaid": _("A shop's debt was repaid"),
    "billing.deposit.returned": _("Gave a deposit back"),
    "billing.invoice.issued": _("Issued an invoice"),
    "billing.invoice.paid": _("An invoice was paid"),
    "billing.invoice.voided": _("Voided an invoice"),
    "billing.invoice.written_off": _("Wrote an invoice off"),
    "billing.page.opened": _("Opened a payment page"),
    "billing.page.paid": _("A payment page was paid"),
    "billing.plan.changed": _("Changed their plan"),
    "billing.plan.confirmed": _("Confirmed a change of plan"),
    "billing.plan.not_changed": _("A change of plan did not come about"),
    "billing.plan.scheduled": _("Chose a plan for the next period"),
    "billing.subscription.begun": _("Began a subscription"),
    "billing.subscription.card": _("A card pays from now on"),
    "billing.subscription.cancelled": _("Cancelled a subscription"),
    "billing.subscription.downgrade_off": _("Took back a change of plan"),
    "billing.subscription.kept": _("Kept a subscription"),
    "billing.subscription.second": _("A second subscription was ended"),
    "console.job.retried": _("Set a job going again"),
    "console.keys.rotate": _("Had secrets encrypted under a new key"),
    "console.person.activated": _("Let somebody in again"),
    "console.person.deactivated": _("Locked somebody out"),
    "console.person.invited": _("Invited somebody"),
    "console.person.role": _("Changed somebody's role"),
    "library.brand.create": _("Added a brand"),
    "library.brand.update": _("Changed a brand"),
    "library.category.create": _("Added a category"),
    "library.category.update": _("Changed a category"),
    "library.import": _("Imported products"),
    "library.private.end": _("Ended private terms"),
    "library.private.set": _("Set private terms"),
    "library.product.create": _("Added a product"),
    "library.product.update": _("Changed a product"),
    "library.sku.create": _("Added a SKU"),
    "library.sku.update": _("Changed a SKU"),
    "library.supply.set": _("Set supply prices"),
    "listings.sync.repeat": _("Had shops synced again"),
    "receipts.account.created": _("Added a merchant account"),
    "receipts.account.enabled": _("Switched a merchant account"),
    "receipts.case.noted": _("Noted something on a payment case"),
    "receipts.case.settling": _("Decided a payment case"),
    "receipts.event.replayed": _("Had an event handled again"),
    "receipts.refund.asked": _("Asked for a refund"),
    "regions.grant.ended": _("Ended a shop's hold of a city"),
    "regions.grant.made": _("Gave a city to a shop"),
    "regions.lead.declined": _("A lead was declined"),
    "regions.lead.forgotten": _("Removed a lead's contact"),
    "regions.lead.handled": _("Saw to a lead"),
    "regions.lead.lapsed": _("A lead was not answered"),
    "regions.lead.offered": _("Offered a lead again"),
    "regions.lead.taken": _("A lead was taken"),
    "splits.rule.created": _("Wrote a split rule"),
    "stock.code.reveal": _("Looked at a code"),
    "stock.codes.export": _("Exported codes"),
    "stock.codes.import": _("Imported codes"),
    "stock.codes.void": _("Withdrew codes"),
    "stock.count.set": _("Set a stock count"),
    "tenants.address.freed": _("An erased shop's address is free again"),
    "tenants.domain.added": _("Added a domain"),
    "tenants.domain.failing": _("A domain's records are gone"),
    "tenants.domain.lost": _("A domain was taken off"),
    "tenants.domain.primary": _("Chose the first address"),
    "tenants.domain.released": _("Let go of a closed shop's domain"),
    "tenants.domain.removed": _("Removed a domain"),
    "tenants.domain.verified": _("A domain was proved"),
    "tenants.plan.changed": _("Changed a plan"),
    "tenants.plan.created": _("Added a plan"),
    "tenants.substation.closed": _("Closed a shop for good"),
    "tenants.substation.closing": _("Began to close a shop"),
    "tenants.substation.erased": _("Erased a shop"),
    "tenants.substation.export": _("Had an archive made"),
    "tenants.substation.imported": _("Made a shop of an archive"),
    "tenants.substation.wiped": _("A shop's data is gone"),
    "tenants.substation.kept": _("Called off a shop's closing"),
    "tenants.substation.making": _("Began to make a shop"),
    "tenants.substation.opened": _("Opened a shop"),
    "tenants.substation.opened_on_trial": _("Opened a shop on trial"),
    "tenants.substation.paid": _("A shop's payment came in"),
    "tenants.substation.payment_missed": _("A shop's payment is due"),
    "tenants.substation.plan": _("Put a shop on another plan"),
    "tenants.substation.resumed": _("Resumed a shop"),
    "tenants.substation.standing": _("Changed what an unpaid shop may do"),
    "tenants.substation.subscribed": _("A shop's trial ended, paid"),
    "tenants.substation.suspended": _("Suspended a shop"),
    "tenants.sync.repeated": _("Had shops synced again"),
}


TOKEN_STATES: dict[str, Sentence] = {
    "LIVE": _("In use"),
    "EXPIRED": _("Expired"),
    "REVOKED": _("Revoked"),
}
JOBS: dict[str, Sentence] = {
    "billing.cancel_stray": _("End a subscription at the channel that nobody has"),
    "billing.expire_page": _("Take away a card page whose plan is paid otherwise"),
    "billing.mail": _("Mail about a plan's payment"),
    "console.mail_invitation": _("Mail an invitation"),
    "console.mail_notice": _("Mail what happened to a log-in"),
    "console.rotate_keys": _("Encrypt secrets under a new key"),
    "library.import_run": _("Import products"),
    "library.import_terms": _("Import private prices"),
    "listings.sync_all": _("Sync all shops"),
    "orders.mail_closing": _("Mail the buyer that the shop closes"),
    "orders.tell_closing": _("Tell buyers that the shop closes"),
    "orders.mail_delivered": _("Mail the buyer that goods are ready"),
    "orders.notify_queue": _("Tell the shop what waits for its hands"),
    "panel.mail_invitation": _("Mail an invitation"),
    "panel.mail_notice": _("Mail what happened to a log-in"),
    "payments.ask_soon": _("Ask the channel about open payments"),
    "payments.carry_out_case": _("Carry out a decided case"),
    "payments.handle_event": _("Handle a callback"),
    "payments.refund_order": _("Give an order's money back"),
    "payments.run_refund": _("Send a refund to the channel"),
    "regions.mail_offer": _("Tell a city's holder that somebody waits"),
    "regions.offer_shop": _("Offer a new shop to its city's holder"),
    "stock.import_run": _("Import codes"),
    "tenants.check_domain": _("Ask DNS about a domain"),
    "tenants.export": _("Write an archive"),
    "tenants.mail_domain": _("Tell an owner about a domain"),
    "tenants.mail_open": _("Mail the owner that the shop is open"),
    "tenants.provision": _("Make a shop"),
}
CHANNELS: dict[str, Sentence] = {"testpay": _("Test channel"), "stripe": "Stripe"}
# What stands before a deed in a list: by the first word of its name.
ICONS = {
    "accounts": "user", "billing": "file", "console": "settings", "library": "package", "listings": "sync",
    "receipts": "scale", "regions": "pin",
    "splits": "percent", "stock": "box", "tenants": "shop",
}  # fmt: skip


# What is taken away next from a shop whose payment is due.
DUNNING_NEXT: dict[str, Sentence] = {
    "READ_ONLY": _("Panel made read-only"),
    "SHUT": _("Storefront closed"),
}


def chinese() -> bool:
    """Does the reader read Chinese?"""
    return not in_english()


def channel_words(channel: str) -> Sentence:
    """A payment channel's name; its stored name where we have none."""
    return CHANNELS.get(channel, channel)


def job_words(kind: str) -> Sentence:
    """What a background job does; its stored name where it has no words."""
    return JOBS.get(kind, kind)


def action_icon(action: str) -> str:
    return ICONS.get(action.partition(".")[0], "activity")


def actions_like(query: str) -> list[str]:
    """Deeds whose words, in the reader's language, hold what was typed."""
    return deeds.like(ACTIONS, query)


def action_words(action: str) -> Sentence:
    """What somebody did, in words; the stored name where it has none."""
    return ACTIONS.get(action, action)


def address_of(action: str, target: str) -> str:
    """The page of what an audit record is about, or "" where it has none."""
    if not target:
        return ""
    if target.startswith("sub_"):
        return reverse("console:substation", args=[target])
    if target.startswith("case_"):
        return reverse("console:case", args=[target])
    if target.startswith("bat_"):
        return reverse("console:batch", args=[target])
    if target.startswith("acc_"):
        return reverse("console:merchant", args=[target])
    if target.startswith("imp_"):
        return reverse("console:import_run", args=[target])
    if action.startswith("billing.invoice."):
        return reverse("console:invoice", args=[target])
    if target.startswith("event:"):
        return reverse("console:event", args=[target.removeprefix("event:")])
    kind = ".".join(action.split(".")[:2])
    if kind == "library.product":
        return reverse("console:product", args=[target])
    if kind in ("library.sku", "library.supply", "stock.count"):
        return reverse("console:sku", args=[target])
    if kind == "library.category":
        return reverse("console:category", args=[target])
    if kind == "library.brand":
        return reverse("console:brand", args=[target])
    if kind == "tenants.plan":
        return reverse("console:plan", args=[target])
    if kind == "splits.rule" and target[1:].isdecimal():
        return reverse("console:rule", args=[int(target[1:])])
    if kind == "console.person":
        return f"{reverse('console:people')}?q={quote(target)}"
    if kind == "console.keys":
        return reverse("console:keys")
    return ""


_OWN_PARTS: dict[str, Sentence] = {
    "pending": _("The shop, pending"),
    "available": _("The shop, available"),
    "withdrawing": _("The shop, being paid out"),
    "prepaid": _("The shop, prepaid"),
    "deposit": _("The shop, deposit"),
    "receivable": _("The shop's debt"),
}
_ACCOUNTS: dict[str, Sentence] = {
    "main:revenue": _("Main station, supply"),
    "main:platform_fee": _("Main station, platform fee"),
    "main:subsidy": _("Main station, subsidy"),
}


def account_words(code: str) -> Sentence:
    """What a ledger account is, in words; its code where it has none."""
    if code in _ACCOUNTS:
        return _ACCOUNTS[code]
    parts = code.split(":")
    if parts[0] == "substation" and len(parts) > 2:
        return _OWN_PARTS.get(parts[2], code)
    if parts[0] == "channel" and len(parts) > 2:
        name = _("Channel fee, %(channel)s") if parts[2] == "fee" else _("Owed by the channel, %(channel)s")
        return worded(name, channel=channel_words(parts[1]))
    if parts[0] == "suspense":
        return worded(_("Undecided money, %(channel)s"), channel=channel_words(parts[1]))
    if parts[0] == "tax":
        return _("Tax")
    if parts[0] == "partner":
        return _("Partner")
    return code


_REASONS: dict[str, Sentence] = {
    "A payment is due.": _("A payment is due."),
    "The subscription was cancelled.": _("The subscription was cancelled."),
}


def reason_words(text: str) -> Sentence:
    """Why something was done: what the services write has words of the reader's, what a person wrote stays as it is."""
    number = text.removeprefix("Invoice ").removesuffix(" is not paid.")
    if text.endswith(" is not paid.") and " " not in number:
        return worded(_("Invoice %(number)s is not paid."), number=number)
    return _REASONS.get(text, text)


def note_words(text: str) -> Sentence:
    """A payment case's note: what the services write begins with a stored word, which is said in the reader's."""
    head, _colon, rest = text.partition(": ")
    if head == "Opened" and rest.removesuffix(".") in CaseKind.values:
        return worded(_("Case opened: %(kind)s"), kind=CaseKind(rest.removesuffix(".")).label)
    if head in Resolution.values:
        return worded(_("%(deed)s: %(why)s"), deed=Resolution(head).label, why=rest)
    if head == "Not done":
        return worded(_("Not done: %(why)s"), why=rest)
    if head == "Refunded":
        return worded(_("Refunded: %(what)s"), what=rest.removesuffix("."))
    if head == "Delivered":
        return worded(_("Delivered: %(what)s"), what=rest.removesuffix(".").removeprefix("order "))
    return text


def not_done(text: str) -> str:
    """Why a decision could not be carried out, where a case's note says so; else nothing."""
    head, _colon, rest = text.partition(": ")
    return rest if head == "Not done" else ""


def note_tone(text: str) -> str:
    """The tone of a case's note in a timeline."""
    head = text.partition(":")[0]
    return {"Not done": "warning", "Refunded": "success", "Delivered": "success", "Opened": "info"}.get(head, "")


def terms_words(record: Any) -> Sentence:
    """What a record of private terms was about: its SKU and price, or how many; "" of any other record."""
    if not record.action.startswith("library.private."):
        return ""
    details = record.details
    if "unit" in details:
        return worded(
            "%(sku)s · %(unit)s",
            sku=details["sku"],
            unit=money.format_unit(Decimal(details["unit"]), settings.CURRENCY),
        )
    return str(details["sku"]) if "sku" in details else worded(_("%(count)s SKUs"), count=f"{details['count']:,}")


def money_words(amount_minor: int, currency: str) -> str:
    """An amount as pages show it; with the currency's code where it is one that we don't sell in."""
    if currency in money.EXPONENTS:
        return money.format_minor(amount_minor, currency)
    return f"{amount_minor} {currency}"


SCOPES: dict[str, Sentence] = {
    "library:read": _("Read the library"),
    "library:write": _("Change the library"),
    "stock:read": _("Read stock levels"),
    "stock:write": _("Import codes and set counts"),
    "substations:read": _("Read substations"),
    "terms:read": _("Read private terms"),
    "terms:write": _("Set and end private terms"),
    "sync:read": _("Read the sync's state"),
    "sync:write": _("Have shops synced again"),
    "cases:read": _("Read payment cases"),
    "billing:read": _("Read invoices and subscriptions"),
    "regions:read": _("Read regions and who holds them"),
    "regions:write": _("Give and end cities"),
    "leads:read": _("Read leads with their contacts"),
}
