"""One order as its buyer sees it: state, lines, payments and history, behind the order's secret."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext_lazy as _

from kameng.lib import money
from kameng.lib.words import Sentence, in_english
from tenant_apps.listings.models import ListedProduct
from tenant_apps.orders import identity
from tenant_apps.orders.models import Order, OrderLine, OrderStep
from tenant_apps.orders.services import OrderMissing
from tenant_apps.orders.states import DeliveryState, OrderState
from tenant_apps.payments.models import Payment
from tenant_apps.payments.states import PaymentState
from tenant_apps.storefront import shown

# What a buyer is told of each step. Steps that are nobody's business but the shop's are not here.
STEP_WORDS: dict[tuple[str, str], tuple[Sentence, str, str]] = {
    ("ORDER", "PLACE"): (_("Order placed"), "info", "cart"),
    ("ORDER", "PAY"): (_("Payment received"), "success", "wallet"),
    ("ORDER", "REVIVE"): (_("Payment received after the time was over"), "success", "wallet"),
    ("ORDER", "DELIVER"): (_("Everything delivered"), "success", "check"),
    ("ORDER", "EXPIRE"): (_("The time to pay ran out"), "warning", "clock"),
    ("ORDER", "CANCEL"): (_("Order cancelled"), "neutral", "x"),
    ("ORDER", "REFUND"): (_("Money given back"), "info", "refresh"),
    ("PAYMENT", "BEGIN"): (_("Payment begun"), "neutral", "card"),
    ("PAYMENT", "SUCCEED"): (_("A payment has arrived"), "success", "wallet"),
    ("PAYMENT", "FAIL"): (_("A payment attempt failed"), "warning", "alert"),
    ("PAYMENT", "EXPIRE"): (_("A payment attempt ran out of time"), "neutral", "clock"),
    ("DELIVERY", "QUEUE"): (_("In the shop's hands, to be delivered by a person"), "info", "user"),
    ("DELIVERY", "DELIVER"): (_("Delivered"), "success", "package"),
}
OPEN_PAYMENTS = (PaymentState.CREATED, PaymentState.UNKNOWN, PaymentState.PENDING)


@dataclass(frozen=True, slots=True)
class ShownLine:
    """One thing that was bought."""

    sku_id: int
    name: str
    quantity: int
    unit: str
    total_minor: int
    instant: bool
    state: str
    note: str  # What a person wrote when delivering it.
    product_url: str
    again_url: str
    usage: str


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One step of the history, in the words of the page's timeline component."""

    at: datetime
    title: Sentence
    tone: str
    icon: str
    text: str = ""
    by: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class ShownOrder:
    """The whole page of an order. `version` changes whenever anything on the page does."""

    order: Order
    lines: Sequence[ShownLine]
    steps: Sequence[ShownStep]
    payment: Payment | None  # The newest attempt.
    version: str
    answers: Sequence[tuple[str, str]] = ()  # What the buyer filled in for the goods, under its labels.

    @property
    def waits_for_money(self) -> bool:
        return self.order.state == OrderState.PENDING_PAYMENT

    @property
    def over_unpaid(self) -> bool:
        return self.order.state in (OrderState.EXPIRED, OrderState.CANCELLED)

    @property
    def money_is_looked_at(self) -> bool:
        """A payment came, and the order is not paid: too late, too little, twice. A person settles it."""
        arrived = self.payment is not None and self.payment.state == PaymentState.SUCCEEDED
        return arrived and (self.waits_for_money or self.over_unpaid)

    @property
    def attempt_failed(self) -> bool:
        """The newest attempt came to nothing, and the order still waits."""
        ended = self.payment is not None and self.payment.state in (PaymentState.FAILED, PaymentState.EXPIRED)
        return ended and self.waits_for_money

    @property
    def has_codes(self) -> bool:
        """Something of the code stock has been delivered."""
        return self.order.state in (OrderState.PAID, OrderState.DELIVERED) and any(
            line.instant and line.state == DeliveryState.DELIVERED for line in self.lines
        )

    @property
    def queued(self) -> bool:
        """Something waits for a person."""
        return self.order.state == OrderState.PAID and any(line.state != DeliveryState.DELIVERED for line in self.lines)

    @property
    def moves(self) -> bool:
        """Whether anything can still change by itself: the page follows it then, and stops when it can't."""
        return self.waits_for_money or self.order.state == OrderState.PAID

    @property
    def open_payment(self) -> Payment | None:
        """An attempt that the buyer can go on with."""
        usable = self.payment is not None and self.payment.state == PaymentState.PENDING
        return self.payment if usable and self.payment is not None and self.payment.redirect_url else None


def order_for(number: str, token: str) -> Order:
    """The order that `token` opens. Raises: OrderMissing, the same for an unknown number and a wrong token."""
    order = Order.objects.filter(number=number[:40]).first()
    if order is None or not identity.opens(bytes(order.token_digest), order.number, token[:64]):
        raise OrderMissing()
    return order


def order_found(number: str, secret: str) -> Order:
    """The order that a query password opens. Raises: OrderMissing, the same for both kinds of wrong."""
    order = Order.objects.filter(number=identity.clean_number(number)[:40]).first()
    # Compared also when there is no such order, so that the time it takes tells nothing either.
    digest = bytes(order.lookup_digest) if order is not None else b"\0" * 32
    if not identity.lookup_matches(digest, identity.clean_number(number)[:40], secret) or order is None:
        raise OrderMissing()
    return order


def shown_order(order: Order) -> ShownOrder:
    """Everything that the order's page shows, in four statements."""
    lines = list(OrderLine.objects.filter(order=order))
    steps = list(OrderStep.objects.filter(order=order).order_by("-id"))
    payment = Payment.objects.filter(order=order).order_by("-id").first()
    products = _products({line.product_slug for line in lines})
    texts = {row.slug: shown.text_of(row, "usage") for row in products}
    version = hashlib.sha256(
        f"{order.state}:{order.updated_at}:{steps[0].pk if steps else 0}:{payment.state if payment else ''}:"
        f"{[line.delivery_state for line in lines]}".encode()
    ).hexdigest()[:20]
    return ShownOrder(
        order=order,
        lines=[_line(line, order.currency, texts.get(line.product_slug, "")) for line in lines],
        steps=[_step(step, len(lines) > 1) for step in _told(steps, len(lines))],
        payment=payment,
        version=version,
        answers=_answers(order, products),
    )


def _told(steps: Sequence[OrderStep], lines: int) -> list[OrderStep]:
    """The steps that say something new: the same is told once, by the order where it moved as well."""
    events = {(step.subject, step.event) for step in steps}
    doubled = set()
    if {("ORDER", "PAY"), ("ORDER", "REVIVE")} & events:
        doubled.add(("PAYMENT", "SUCCEED"))
    if lines == 1 and ("ORDER", "DELIVER") in events:
        doubled.add(("DELIVERY", "DELIVER"))
    return [step for step in steps if (step.subject, step.event) in STEP_WORDS.keys() - doubled]


def _line(line: OrderLine, currency: str, usage: str) -> ShownLine:
    return ShownLine(
        sku_id=line.sku_id, name=shown.line_name(line), quantity=line.quantity,
        unit=money.format_unit(line.unit, currency), total_minor=line.total_minor,
        instant=line.delivery == shown.CODES, state=line.delivery_state, note=line.delivery_note,
        product_url=f"/p/{line.product_slug}/",
        again_url=f"/p/{line.product_slug}/?sku={line.sku_id}&quantity={line.quantity}", usage=usage,
    )  # fmt: skip


def _step(step: OrderStep, names_goods: bool) -> ShownStep:
    title, tone, icon = STEP_WORDS[step.subject, step.event]
    # A delivery's note names the goods; the other notes are the shop's and the channels' own words.
    return ShownStep(step.at, title, tone, icon, text=step.note if names_goods and step.subject == "DELIVERY" else "")


def _answers(order: Order, products: Sequence[ListedProduct]) -> list[tuple[str, str]]:
    """A field that the product does not ask for any more goes by its key: what was typed is shown all the same."""
    labels = {
        str(item["key"]): str((in_english() and item.get("label_en")) or item.get("label_zh") or item["key"])
        for row in products
        for item in row.buyer_fields
    }
    return [(labels.get(key, key), str(value)) for key, value in order.buyer_fields.items()]


def _products(slugs: set[str]) -> list[ListedProduct]:
    return list(ListedProduct.objects.filter(slug__in=slugs).only("slug", "usage_zh", "usage_en", "buyer_fields"))
