"""Invoices: issued whole, numbered without a gap, paid by one transfer of the ledger. Main scope."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit, catalogue
from kameng.accounts.types import SYSTEM, Actor
from kameng.lib.words import worded
from shared_apps.billing.models import ChangeQuote, Invoice, InvoiceCounter, InvoiceLine, Subscription
from shared_apps.billing.services._errors import BalanceTooLow, BillingRefused, InvoiceMissing
from shared_apps.billing.states import InvoiceKind, InvoiceState, Method, SubscriptionState
from shared_apps.billing.texts import zone
from shared_apps.billing.types import Line
from shared_apps.ledger import services as ledger
from shared_apps.ledger.states import Kind
from shared_apps.ledger.types import Leg
from tenants.models import Substation

REVENUE = "main:revenue"
CHANNEL_FEE = "main:channel_fee"


def prepaid(substation_id: int) -> str:
    """The code of a substation's prepaid account."""
    return f"substation:{substation_id}:prepaid"


def deposit(substation_id: int) -> str:
    """The code of a substation's deposit account."""
    return f"substation:{substation_id}:deposit"


def issue(
    *, substation: Substation, kind: InvoiceKind, lines: Sequence[Line], at: datetime, due_at: datetime | None = None,
    period: tuple[datetime, datetime] | None = None, reverses: Invoice | None = None, provider_ref: str = "",
    change: ChangeQuote | None = None,
) -> Invoice:  # fmt: skip
    """Issue an invoice with its lines, in the caller's transaction. Lines of nothing are left out.

    Its number is the year's next (of the network's zone). Race: the counter's row stays locked until the caller
    commits, so that two invoices never share a number and a rolled-back one leaves no gap.
    """
    kept = [line for line in lines if line.amount_minor]
    assert kept, "An invoice has a line."
    invoice = Invoice.objects.create(
        number=_next_number(at), substation=substation, kind=kind, currency=substation.currency,
        total_minor=sum(line.amount_minor for line in kept), issued_at=at, due_at=due_at or at,
        period_start=period[0] if period else None, period_end=period[1] if period else None,
        seller_name=settings.SELLER_NAME, seller_details=settings.SELLER_DETAILS, buyer_name=substation.name,
        buyer_details="\n".join(filter(None, (substation.owner_name, substation.owner_email, substation.host))),
        language=substation.language, reverses=reverses, provider_ref=provider_ref, change=change,
    )  # fmt: skip
    InvoiceLine.objects.bulk_create(
        InvoiceLine(
            invoice=invoice, position=position, text_zh=line.text_zh, text_en=line.text_en,
            amount_minor=line.amount_minor, period_start=line.period_start, period_end=line.period_end,
        )
        for position, line in enumerate(kept)
    )  # fmt: skip
    audit.record(
        action="billing.invoice.issued", by=SYSTEM, target=invoice.number, at=at, substation=substation.public_id,
        kind=str(kind), total_minor=invoice.total_minor,
    )  # fmt: skip
    return invoice


def _next_number(at: datetime) -> str:
    year = at.astimezone(zone()).year
    InvoiceCounter.objects.bulk_create([InvoiceCounter(year=year)], ignore_conflicts=True)
    row = InvoiceCounter.objects.select_for_update().get(year=year)
    row.last += 1
    row.save(update_fields=["last"])
    return f"KM-{year}-{row.last:06d}"


def pay_from_prepaid(*, invoice_id: int, now: datetime, by: Actor = SYSTEM) -> Invoice:
    """Take an open invoice's sum from the prepaid balance: one transfer, keyed by its number. In the caller's
    transaction or its own. An invoice that is paid already is answered as it is.

    Race: two workers pay one invoice. Its row is locked and its state read under the lock; the ledger's key would hold
    without it. Raises: BalanceTooLow, BillingRefused (void or written off); nothing is changed.
    """
    with transaction.atomic():
        invoice = _locked(invoice_id)
        if invoice.state == InvoiceState.PAID:
            return invoice
        try:
            transfer = ledger.post_transfer(
                key=f"invoice:{invoice.number}", kind=_ledger_kind(invoice), currency=invoice.currency, event_at=now,
                legs=[
                    Leg(prepaid(invoice.substation_id), invoice.total_minor),
                    Leg(_income(invoice), -invoice.total_minor),
                ],
                reference_type="invoice", reference=invoice.number, substation_id=invoice.substation_id,
            )  # fmt: skip
        except ledger.InsufficientBalance as refusal:
            raise BalanceTooLow(
                worded(_("The prepaid balance does not cover invoice %(number)s. Top it up."), number=invoice.number),
                details={"invoice": invoice.number, "total_minor": invoice.total_minor},
            ) from refusal
        return _mark_paid(invoice, Method.PREPAID, transfer.public_id, now=now, by=by)


def book_channel_payment(
    *, invoice_id: int, channel: str, fee_minor: int, paid_at: datetime, provider_ref: str, by: Actor = SYSTEM
) -> Invoice:
    """A channel has collected an invoice by itself: its clearing account owes us the sum. The channel's fee is ours to
    bear, and stands as an expense beside the whole income. Safe to repeat. Raises: BillingRefused."""
    with transaction.atomic():
        invoice = _locked(invoice_id)
        if invoice.state == InvoiceState.PAID:
            return invoice
        legs = [
            Leg(f"channel:{channel}:clearing", invoice.total_minor), Leg(_income(invoice), -invoice.total_minor)
        ]  # fmt: skip
        if fee_minor:
            legs += [Leg(CHANNEL_FEE, fee_minor), Leg(f"channel:{channel}:fee", -fee_minor)]
        transfer = ledger.post_transfer(
            key=f"invoice:{invoice.number}", kind=_ledger_kind(invoice), currency=invoice.currency, event_at=paid_at,
            legs=legs, reference_type="invoice", reference=invoice.number, substation_id=invoice.substation_id,
            memo={"channel": channel, "provider_ref": provider_ref},
        )  # fmt: skip
        return _mark_paid(invoice, Method.STRIPE, transfer.public_id, now=paid_at, by=by)


def _mark_paid(invoice: Invoice, method: Method, transfer: str, *, now: datetime, by: Actor) -> Invoice:
    invoice.state, invoice.paid_at, invoice.paid_by, invoice.transfer_id = InvoiceState.PAID, now, method, transfer
    invoice.save(update_fields=["state", "paid_at", "paid_by", "transfer_id"])
    audit.record(
        action="billing.invoice.paid", by=by, target=invoice.number, at=now, method=str(method), transfer=transfer
    )
    return invoice


def void_invoice(*, number: str, reason: str, by: Actor, now: datetime, written_off: bool = False) -> Invoice:
    """Take back an invoice that nobody paid. Its number stays, so that there is no gap. Raises: InvoiceMissing,
    BillingRefused (it is paid: a credit note reverses it; or a card's channel is collecting it, and would go on),
    NotAllowed."""
    by.must(catalogue.INVOICES_MANAGE)
    with transaction.atomic():
        invoice = _locked_number(number)
        if invoice.state == InvoiceState.OPEN and is_collected_by_card(invoice):
            raise BillingRefused(
                worded(
                    _("Stripe is collecting invoice %(number)s from the card. Void it there; it follows here by itself."),
                    number=number,
                )
            )  # fmt: skip
        if invoice.state != InvoiceState.OPEN:
            raise BillingRefused(
                worded(_("Invoice %(number)s is not open. Nothing was changed."), number=number)
            )  # fmt: skip
        invoice.state = InvoiceState.UNCOLLECTIBLE if written_off else InvoiceState.VOID
        invoice.save(update_fields=["state"])
        audit.record(
            action="billing.invoice.written_off" if written_off else "billing.invoice.voided", by=by, target=number,
            at=now, reason=reason[:200],
        )  # fmt: skip
    return invoice


def is_collected_by_card(invoice: Invoice) -> bool:
    """Whether the channel of the shop's present subscription goes on trying an open invoice."""
    if not invoice.provider_ref:
        return False
    return Subscription.objects.filter(substation_id=invoice.substation_id, method=Method.STRIPE).exclude(
        state=SubscriptionState.ENDED
    ).exists()  # fmt: skip


def credit_note(*, number: str, reason: str, by: Actor, now: datetime) -> Invoice:
    """Reverse a paid invoice whole: a credit note of its own number, and the money back on the prepaid balance.

    Raises: NotAllowed, InvoiceMissing, BillingRefused (it is not paid, is a credit note itself, or was reversed before).
    """
    by.must(catalogue.INVOICES_MANAGE)
    with transaction.atomic():
        invoice = _locked_number(number)
        # Race: two operators reverse one invoice. Its row is locked, so the second one sees the first's note.
        if invoice.state != InvoiceState.PAID or invoice.kind == InvoiceKind.CREDIT or invoice.credits.exists():
            raise BillingRefused(
                worded(_("Only a paid invoice is reversed, and only once. %(number)s was not changed."), number=number)
            )
        lines = [
            Line("credit", f"冲销 {number}: {line.text_zh}"[:200], f"Reverses {number}: {line.text_en}"[:200],
                 -line.amount_minor, line.period_start, line.period_end)
            for line in invoice.lines.all()
        ]  # fmt: skip
        note = issue(substation=invoice.substation, kind=InvoiceKind.CREDIT, lines=lines, at=now, reverses=invoice)
        transfer = ledger.post_transfer(
            key=f"invoice:{note.number}", kind=Kind.CREDIT_NOTE, currency=note.currency, event_at=now,
            legs=[
                Leg(_income(invoice), invoice.total_minor), Leg(prepaid(invoice.substation_id), -invoice.total_minor)
            ],
            reference_type="invoice", reference=note.number, substation_id=invoice.substation_id,
            memo={"reverses": number, "reason": reason[:200]},
        )  # fmt: skip
        return _mark_paid(note, Method.PREPAID, transfer.public_id, now=now, by=by)


def find_invoice(*, number: str, substation_id: int) -> Invoice:
    """A substation's own invoice with its lines. Raises: InvoiceMissing, for another's as for one that is not there."""
    found = (
        Invoice.objects.select_related("substation", "reverses")
        .prefetch_related("lines")
        .filter(number=number, substation_id=substation_id)
        .first()
    )
    if found is None:
        raise InvoiceMissing(_("There is no such invoice."))
    return found


def _income(invoice: Invoice) -> str:
    """Whose account an invoice fills: a deposit stays its substation's own money."""
    return deposit(invoice.substation_id) if invoice.kind == InvoiceKind.DEPOSIT else REVENUE


def _ledger_kind(invoice: Invoice) -> str:
    return str(Kind.DEPOSIT if invoice.kind == InvoiceKind.DEPOSIT else Kind.INVOICE)


def _locked(invoice_id: int) -> Invoice:
    invoice = Invoice.objects.select_for_update().get(pk=invoice_id)
    if invoice.state in (InvoiceState.VOID, InvoiceState.UNCOLLECTIBLE):
        raise BillingRefused(worded(_("Invoice %(number)s is not open. Nothing was changed."), number=invoice.number))
    return invoice


def _locked_number(number: str) -> Invoice:
    found = Invoice.objects.select_for_update(of=("self",)).select_related("substation").filter(number=number).first()
    if found is None:
        raise InvoiceMissing(_("There is no such invoice."))
    return found
