"""A channel's invoices become ours, once, and are booked when they are paid. In the caller's transaction."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from kameng.lib.words import worded
from shared_apps.billing import texts
from shared_apps.billing.channel import InvoiceState
from shared_apps.billing.models import ChangeQuote, Invoice, PaymentPage, Subscription
from shared_apps.billing.services._errors import WrongCurrency
from shared_apps.billing.services._invoices import CHANNEL_FEE, book_channel_payment, issue, prepaid
from shared_apps.billing.states import InvoiceKind, Method
from shared_apps.billing.states import InvoiceState as OurInvoiceState
from shared_apps.billing.types import Line
from shared_apps.ledger import services as posting
from shared_apps.ledger.states import Kind
from shared_apps.ledger.types import Leg

CHANNEL = "stripe"
GIVEN_UP = (OurInvoiceState.VOID, OurInvoiceState.UNCOLLECTIBLE)


def take_invoice(row: Subscription, told: InvoiceState, *, now: datetime) -> None:
    """A channel's invoice becomes ours, once (the unique key on its reference), and is booked when it is paid."""
    if told.amount_minor <= 0 or told.status == "draft":
        return
    if told.currency != row.substation.currency:  # Somebody changed it there. The event fails where a person sees it.
        raise WrongCurrency(
            worded(
                _("Invoice %(ref)s of the channel is in %(told)s, and the shop's money is %(ours)s. Nothing was booked."),
                ref=told.id, told=told.currency, ours=row.substation.currency,
            )
        )  # fmt: skip
    ours = _ours(told)
    if not ours and told.status in ("open", "paid"):
        ours = _issue_ours(row, told)
    _settle_ours(row.substation_id, ours, told, now=now)


def _settle_ours(substation_id: int, ours: list[Invoice], told: InvoiceState, *, now: datetime) -> None:
    """Book what the channel has collected. What nobody owed any more is the shop's own money: the balance had paid it (a
    dead subscription's invoice, which its payer then paid on the channel's page as well), or it had been given up."""
    if told.paid:
        fee_minor, stray = told.fee_minor, 0
        for invoice in ours:
            if invoice.paid_by == Method.PREPAID or invoice.state in GIVEN_UP:
                stray += invoice.total_minor
                continue
            book_channel_payment(
                invoice_id=invoice.pk, channel=CHANNEL, fee_minor=fee_minor, paid_at=told.paid_at or now,
                provider_ref=told.id,
            )  # fmt: skip
            fee_minor = 0
        if stray:
            _credit(substation_id, told, stray, fee_minor, reference=("invoice", ours[0].number))
    elif told.status in ("void", "uncollectible"):
        state = OurInvoiceState.VOID if told.status == "void" else OurInvoiceState.UNCOLLECTIBLE
        Invoice.objects.filter(provider_ref=told.id, state=OurInvoiceState.OPEN).update(state=state)


def _ours(told: InvoiceState) -> list[Invoice]:
    """What we have of it, locked. Race: somebody takes one back at this moment, and money would be booked on an invoice
    that is void."""
    return list(Invoice.objects.select_for_update().filter(provider_ref=told.id).order_by("id"))


def _issue_ours(row: Subscription, told: InvoiceState) -> list[Invoice]:
    """One for what is income and one for the deposit, with lines in our words and the channel's sums."""
    quote = _change_of(row) if told.reason == "update" else None
    lines: list[Line] = []
    for line in told.lines:
        span = (line.period_start or told.period_start, line.period_end or told.period_end)
        if line.kind == "opening":
            whole = line.amount_minor == row.plan.opening_fee_minor
            lines.append(
                texts.opening_line(row.plan) if whole else texts.opening_difference_line(row.plan, line.amount_minor)
            )
        elif line.kind == "deposit":
            lines.append(texts.deposit_line(row.plan, line.amount_minor))
        elif line.kind == "period":
            lines.append(texts.period_line(row.plan, row.interval, line.amount_minor, *span))
        elif line.period_start is None:
            lines.append(Line("note", line.text[:200], line.text[:200], line.amount_minor))
        elif line.amount_minor < 0:
            lines.append(texts.unused_line(quote.from_plan if quote else row.plan, -line.amount_minor, *span))
        else:
            lines.append(texts.rest_line(row.plan, line.amount_minor, *span))
    kind = {"create": InvoiceKind.OPENING, "update": InvoiceKind.PRORATA}.get(told.reason, InvoiceKind.PERIOD)
    period = (
        (told.period_start, told.period_end)
        if kind != InvoiceKind.PRORATA and told.period_end > told.period_start
        else None
    )
    made = []
    for which, part, months in (
        (kind, [line for line in lines if line.kind != "deposit" and line.amount_minor], period),
        (InvoiceKind.DEPOSIT, [line for line in lines if line.kind == "deposit"], None),
    ):
        if part and sum(line.amount_minor for line in part) > 0:
            made.append(
                issue(
                    substation=row.substation, kind=which, lines=part, at=told.created_at, period=months,
                    provider_ref=told.id, change=quote,
                )
            )  # fmt: skip
    return made


def _change_of(row: Subscription) -> ChangeQuote | None:
    """The last change to the present plan that a card was asked for, while it has no invoice of the card's."""
    changes = ChangeQuote.objects.filter(
        substation_id=row.substation_id, to_plan=row.plan, confirmed_at__isnull=False, refused_at=None
    ).exclude(invoices__provider_ref__gt="")
    return changes.select_related("from_plan").order_by("-confirmed_at").first()


def keep_stray_money(page: PaymentPage, told: InvoiceState, *, now: datetime) -> None:
    """Money for a subscription that did not come about (cancelled at once, a second one): it is the shop's balance."""
    ours = _ours(told)
    if ours:  # Of a subscription that was the shop's once.
        _settle_ours(page.substation_id, ours, told, now=now)
    elif told.paid and told.amount_minor > 0:
        _credit(
            page.substation_id, told, told.amount_minor, told.fee_minor, reference=("payment_page", page.public_id)
        )  # fmt: skip


def _credit(
    substation_id: int, told: InvoiceState, amount_minor: int, fee_minor: int, *, reference: tuple[str, str]
) -> None:
    legs = [Leg(f"channel:{CHANNEL}:clearing", amount_minor), Leg(prepaid(substation_id), -amount_minor)]
    if fee_minor:
        legs += [Leg(CHANNEL_FEE, fee_minor), Leg(f"channel:{CHANNEL}:fee", -fee_minor)]
    posting.post_transfer(
        key=f"stray:{told.id}", kind=Kind.TOPUP, currency=told.currency, event_at=told.paid_at or told.created_at,
        legs=legs, reference_type=reference[0], reference=reference[1], substation_id=substation_id,
        memo={"provider_ref": told.id},
    )  # fmt: skip
