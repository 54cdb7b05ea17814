"""Invoices of the fake: drawn up, finalized, collected from a card that may decline, tried again, paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import billing_objects, objects
from .errors import StripeError, invalid
from .objects import Json
from .proration import DAY

if TYPE_CHECKING:
    from .state import Merchant

DRAFT_S = 3600  # Stripe leaves the draft of a renewal open for about an hour, for the merchant to add to it.


class Invoicing:
    """Invoices and invoice items of one merchant. What follows for a subscription is told by `_paid` and `_missed`."""

    def __init__(self, merchant: Merchant) -> None:
        self.merchant = merchant
        self.customers: dict[str, Json] = {}
        self.invoices: dict[str, Json] = {}
        self.items: dict[str, Json] = {}
        self.payments: dict[str, Json] = {}
        self.full_lines: dict[str, list[Json]] = {}  # Of invoices whose own list a test cut short, as ten lines are.
        self.declining: set[str] = set()  # Customers whose card is declined.
        self.retry_days: tuple[int, ...] = (3, 5, 7)  # After each failed try, so many days to the next.

    def pay_invoice(self, id: str, params: Json) -> Json:
        """POST /v1/invoices/{id}/pay, and the button of the hosted invoice. Raises StripeError 400, 402."""
        refuse_unknown(params, set())
        invoice = self.merchant.find(self.invoices, id, "invoice")
        if invoice["status"] == "paid":
            raise invalid("Invoice is already paid", code="invoice_already_paid")
        if invoice["status"] != "open":
            raise invalid(f"This invoice is {invoice['status']}.")
        self.refuse_declining(invoice["customer"])
        self._collect(invoice)
        return invoice

    def refuse_declining(self, customer: str) -> None:
        """Raises StripeError 402 when the customer's card is declined."""
        if customer in self.declining:
            raise StripeError(402, "card_error", "Your card was declined.", code="card_declined")

    def pending_items(self, customer: str) -> list[Json]:
        """What waits for the customer's next invoice."""
        return [item for item in self.items.values() if item["customer"] == customer and item["invoice"] is None]

    def draft(
        self, subscription: Json, *, reason: str, lines: list[Json], items: list[Json], start: int, end: int,
        proration_date: int | None = None,
    ) -> Json:  # fmt: skip
        """A draft of these lines, with the waiting `items` before them."""
        merchant = self.merchant
        lines = [billing_objects.line_of_item(id=merchant.new_id("il_"), item=item) for item in items] + lines
        invoice = billing_objects.invoice(
            id=merchant.new_id("in_"), now=merchant.now(), customer=self.customers[subscription["customer"]],
            subscription=subscription, reason=reason, lines=lines, start=start, end=end, proration_date=proration_date,
        )  # fmt: skip
        self.invoices[invoice["id"]] = invoice
        for item in items:
            item["invoice"] = invoice["id"]
        subscription["latest_invoice"] = invoice["id"]
        merchant.tell("invoice.created", invoice)
        return invoice

    def finalize(self, invoice: Json) -> None:
        """The draft becomes an invoice, is lessened by the customer's credit, and is collected at once."""
        merchant, customer = self.merchant, self.customers[invoice["customer"]]
        reach = invoice["total"] + customer["balance"]  # A negative balance is the customer's credit.
        due = max(reach, 0)
        invoice.update(
            status="open", number=f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}",
            starting_balance=customer["balance"], ending_balance=min(reach, 0), amount_due=due, amount_remaining=due,
            effective_at=merchant.now(), automatically_finalizes_at=None,
            hosted_invoice_url=f"{merchant.base_url}/i/{invoice['id']}",
            invoice_pdf=f"{merchant.base_url}/i/{invoice['id']}/pdf",
        )  # fmt: skip
        invoice["status_transitions"]["finalized_at"] = merchant.now()
        customer.update(
            balance=invoice["ending_balance"], currency=invoice["currency"],
            next_invoice_sequence=customer["next_invoice_sequence"] + 1,
        )  # fmt: skip
        merchant.tell("invoice.finalized", invoice)
        if due:
            self.attempt(invoice)
        else:
            self._close(invoice, 0)

    def attempt(self, invoice: Json) -> None:
        """Stripe's own try at the customer's card; another one is due later when it fails and tries are left."""
        merchant = self.merchant
        invoice.update(attempted=True, attempt_count=invoice["attempt_count"] + 1, next_payment_attempt=None)
        if invoice["customer"] not in self.declining:
            self._collect(invoice)
            return
        merchant.decline(self._intent(invoice), "card")
        tried = invoice["attempt_count"]
        if tried <= len(self.retry_days):
            invoice["next_payment_attempt"] = merchant.now() + self.retry_days[tried - 1] * DAY
        self.customers[invoice["customer"]]["delinquent"] = True
        merchant.tell("invoice.payment_failed", invoice)
        self._missed(invoice)

    def _collect(self, invoice: Json) -> None:
        self.merchant.collect(self._intent(invoice), "card")
        payment = self._payment_of(invoice)
        assert payment is not None
        payment.update(status="paid", amount_paid=invoice["amount_due"])
        payment["status_transitions"]["paid_at"] = self.merchant.now()
        self._close(invoice, invoice["amount_due"])

    def _close(self, invoice: Json, paid: int) -> None:
        merchant = self.merchant
        invoice.update(
            status="paid", attempted=True, amount_paid=paid, amount_remaining=0, next_payment_attempt=None,
            auto_advance=False,
        )  # fmt: skip
        invoice["status_transitions"]["paid_at"] = merchant.now()
        self.customers[invoice["customer"]]["delinquent"] = False
        merchant.tell("invoice.paid", invoice)
        merchant.tell("invoice.payment_succeeded", invoice)
        self._paid(invoice)

    def _intent(self, invoice: Json) -> Json:
        """The intent that collects this invoice, one for all tries."""
        merchant, known = self.merchant, self._payment_of(invoice)
        if known is not None:
            return merchant.intents[known["payment"]["payment_intent"]]
        words = {"subscription_create": "Subscription creation", "subscription_update": "Subscription update"}
        intent = objects.payment_intent(
            id=merchant.new_id("pi_"), now=merchant.now(), amount=invoice["amount_due"], currency=invoice["currency"],
            metadata={}, description=words.get(invoice["billing_reason"], "Payment for Invoice"),
        )  # fmt: skip
        intent.update(customer=invoice["customer"], payment_method_types=["card"])
        merchant.intents[intent["id"]] = intent
        payment = billing_objects.invoice_payment(
            id=merchant.new_id("inpay_"), now=merchant.now(), invoice=invoice, intent=intent["id"]
        )
        self.payments[payment["id"]] = payment
        return intent

    def _payment_of(self, invoice: Json) -> Json | None:
        return next((payment for payment in self.payments.values() if payment["invoice"] == invoice["id"]), None)

    def _paid(self, invoice: Json) -> None:
        raise NotImplementedError

    def _missed(self, invoice: Json) -> None:
        raise NotImplementedError


def refuse_unknown(params: Json, known: set[str]) -> None:
    """Raises StripeError 400 for a parameter that the fake would otherwise silently not obey."""
    if unknown := set(params) - known:
        message = f"Received unknown parameter: {', '.join(sorted(unknown))}"
        raise invalid(message, sorted(unknown)[0], code="parameter_unknown")
