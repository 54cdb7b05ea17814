"""What others read of billing. Main scope."""

from __future__ import annotations

from django.db.models import QuerySet, Sum

from shared_apps.billing.models import ChangeQuote, DunningStep, Invoice, PaymentPage, Subscription
from shared_apps.billing.states import InvoiceState, Method, PageState, SubscriptionState
from shared_apps.billing.types import Overview, WayToPay
from shared_apps.ledger import selectors as ledger
from shared_apps.receipts import selectors as receipts
from shared_apps.receipts.models import MerchantAccount
from tenants.models import Plan, Substation


def own_accounts() -> QuerySet[MerchantAccount]:
    """The main station's own merchant accounts, in their order, those that are switched off too."""
    return receipts.merchant_accounts().filter(substation_id=None).order_by("sort", "id")


def collecting_accounts() -> QuerySet[MerchantAccount]:
    """Those of them that are switched on."""
    return own_accounts().filter(enabled=True)


def ways_to_pay() -> tuple[WayToPay, ...]:
    """How a substation may pay now: top-ups through each account, and a subscription by card where Stripe is there."""
    found = []
    for account in collecting_accounts():
        if account.channel == "stripe":
            found.append(WayToPay(account.pk, account.channel, account.name, renews=True))
        found.append(WayToPay(account.pk, account.channel, account.name, renews=False))
    return tuple(found)


def subscription(substation_id: int) -> Subscription | None:
    """A substation's subscription with its plans; None for a shop from before plans were billed."""
    rows = Subscription.objects.select_related("plan", "next_plan", "moved_to", "substation")
    return rows.filter(substation_id=substation_id).first()


def overview(substation_id: int) -> Overview:
    """What the owner of a shop sees of its plan."""
    shop = Substation.objects.select_related("plan").get(pk=substation_id)
    row = subscription(substation_id)
    unpaid = tuple(open_invoices(substation_id))
    plan = (row.next_plan if row and row.next_plan else None) or shop.plan
    interval = (row.next_interval or row.interval) if row else "MONTH"
    return Overview(
        subscription=row, plan=shop.plan, prepaid_minor=balance(substation_id, "prepaid"),
        deposit_minor=balance(substation_id, "deposit"), due_minor=sum(invoice.total_minor for invoice in unpaid),
        open_invoices=unpaid, next_fee_minor=plan.period_fee_minor(interval), ways=ways_to_pay(),
    )  # fmt: skip


def balance(substation_id: int, account: str) -> int:
    """A substation's ledger account on its own side, in minor units: "prepaid" or "deposit"."""
    return ledger.balance_minor(f"substation:{substation_id}:{account}")


def balance_or_nothing(substation_id: int | None, account: str) -> int:
    """The same; 0 for a substation whose accounts are not open yet: an application that nobody paid for."""
    code = f"substation:{substation_id}:{account}"
    return ledger.balance_minor(code) if ledger.has_account(code) else 0


def lacking_minor(substation_id: int) -> int:
    """What the prepaid balance lacks of all that it has to pay: debts, and the open invoices that no card is charged for."""
    due = open_invoices(substation_id)
    if pays_by_card(subscription(substation_id)):
        due = due.filter(provider_ref="")
    owed = int(due.aggregate(total=Sum("total_minor"))["total"] or 0) + balance_or_nothing(substation_id, "receivable")
    return max(0, owed - balance_or_nothing(substation_id, "prepaid"))


def invoices(*, substation_id: int | None = None) -> QuerySet[Invoice]:
    """Invoices, the newest first; of one substation or of all, with their substation."""
    rows = Invoice.objects.select_related("substation")
    return rows if substation_id is None else rows.filter(substation_id=substation_id)


def open_invoices(substation_id: int) -> QuerySet[Invoice]:
    """What a substation has to pay, the oldest first."""
    return invoices(substation_id=substation_id).filter(state=InvoiceState.OPEN).order_by("id")


def dunning_steps(substation_id: int) -> QuerySet[DunningStep]:
    """What was done about a substation's unpaid invoices, the newest first."""
    return DunningStep.objects.filter(substation_id=substation_id)


def page(public_id: str, *, substation_id: int) -> PaymentPage | None:
    """A substation's own payment page."""
    return PaymentPage.objects.filter(public_id=public_id, substation_id=substation_id).first()


def wanted_terms(quote_public_id: str, *, substation_id: int) -> tuple[str, str] | None:
    """Plan and interval that a quote was for, whether or not it still holds."""
    rows = ChangeQuote.objects.filter(public_id=quote_public_id, substation_id=substation_id)
    return rows.values_list("to_plan__code", "to_interval").first()


def open_page(substation_id: int) -> PaymentPage | None:
    """The payment page that a substation has open now, the newest."""
    return PaymentPage.objects.filter(substation_id=substation_id, state=PageState.OPEN).first()


def past_due_count() -> int:
    """How many subscriptions wait for a payment."""
    return Subscription.objects.filter(state=SubscriptionState.PAST_DUE).count()


def due_total() -> int:
    """What is due of all substations, in minor units."""
    return int(Invoice.objects.filter(state=InvoiceState.OPEN).aggregate(total=Sum("total_minor"))["total"] or 0)


def plans_on_offer() -> list[Plan]:
    """The plans that can be chosen now, in their order."""
    return list(Plan.objects.filter(active=True))


def pays_by_card(row: Subscription | None) -> bool:
    """Whether a channel charges this subscription by itself."""
    return row is not None and row.method == Method.STRIPE
