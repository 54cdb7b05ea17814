"""Starting a payment: written down first, asked of the channel outside any transaction, written down again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.utils import translation
from django.utils.translation import gettext as _

from kameng.accounts.types import Actor
from kameng.db.context import current_tenant, in_main
from kameng.lib import clock
from kameng.lib.errors import ProviderError
from kameng.lib.ids import public_id
from shared_apps.receipts import services as receipts
from shared_apps.receipts.types import AccountInfo
from tenant_apps.orders import services as orders
from tenant_apps.orders.models import Order
from tenant_apps.orders.services import OrderMissing
from tenant_apps.orders.states import OrderState
from tenant_apps.orders.types import PlacedOrder
from tenant_apps.payments import providers
from tenant_apps.payments.models import Payment
from tenant_apps.payments.providers.base import ChannelRefused, CreatedPayment, MerchantAccount, PaymentRequest
from tenant_apps.payments.services._errors import ChannelAway, ChannelDeclined, ChannelMissing, OrderNotPayable
from tenant_apps.payments.services._transitions import move_payment
from tenant_apps.payments.states import PaymentEvent, PaymentState

_OPEN = (PaymentState.CREATED, PaymentState.UNKNOWN, PaymentState.PENDING)
_LOCK = "SELECT * FROM gate.payments_lock_order(%(number)s, %(account)s, %(now)s)"
_BEGIN = """SELECT gate.payments_begin(%(public_id)s, %(order_id)s, %(number)s, %(channel)s, %(account)s, %(amount)s,
    %(currency)s, %(state)s, %(now)s, %(by_kind)s, %(by_label)s)"""
_CHECKOUT = """SELECT * FROM gate.payments_checkout(%(payment)s, %(account)s, %(channel)s, %(payment_state)s, %(number)s,
    %(token_digest)s, %(lookup_digest)s, %(contact)s, %(state)s, %(currency)s, %(total)s, %(buyer_fields)s, %(language)s,
    %(ip)s, %(source)s, %(now)s, %(pay_by)s, %(hold_until)s, %(hint)s, %(by_kind)s, %(by_label)s, %(gate_lines)s,
    %(lines)s)"""
LEAST_TIME = timedelta(minutes=2)  # A channel's page that closes at once helps nobody.
log = structlog.get_logger("payments")


@dataclass(frozen=True, slots=True)
class StartedPayment:
    """Where the buyer goes to pay."""

    public_id: str
    channel: str
    redirect_url: str
    qr_text: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A way to pay that this shop offers."""

    account_id: int
    public_id: str
    channel: str
    name: str


def offered_channels(*, order_number: str = "", now: datetime | None = None) -> list[Offer]:
    """The ways to pay in the current shop, in their order; with an order, those that can carry it without a loss.

    Any transaction of the shop's scope.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT account_id, public_id, channel, name FROM gate.channels()")
        offers = [Offer(*row) for row in cursor.fetchall()]
        if not order_number:
            return offers
        cursor.execute(
            "SELECT o.total_minor, o.cost_minor, (SELECT t.terms FROM gate.sale_terms(%s) t) "
            "FROM orders_order o WHERE o.number = %s",
            [now or clock.utc_now(), order_number],
        )
        row = cursor.fetchone()
    if row is None:
        raise OrderMissing()
    total, cost, terms = row
    rule = _loaded(terms)
    return [
        offer for offer in offers
        if orders.expected_margin(total_minor=total, cost_minor=cost, terms=rule, channel=offer.channel) >= 0
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """A placed order and the attempt to pay it, both committed together; `start_payment` takes it to the channel."""

    order: PlacedOrder
    payment_id: str


def checkout(*, account_id: int, now: datetime, **wanted: Any) -> CheckedOut:
    """Place an order and begin its payment in one transaction of two statements; `wanted` as for `place_order`.

    Raises: what `place_order` raises; ChannelMissing (unknown here, or its fee would eat more than the order brings).
    """
    with transaction.atomic():
        prepared = orders.prepare_order(now=now, **wanted)
        channel = prepared.terms.channels.get(account_id)
        if channel is None:
            raise ChannelMissing()
        payment_id = public_id("pay")
        try:
            order, cost = orders.write_order(
                prepared, _CHECKOUT, payment=payment_id, account=account_id, channel=channel,
                payment_state=str(PaymentState.CREATED),
            )  # fmt: skip
        except orders.ChannelTooDear:
            raise ChannelMissing() from None
        if (
            orders.expected_margin(
                total_minor=order.total_minor, cost_minor=cost, terms=prepared.terms.rule, channel=channel
            )
            < 0
        ):
            raise ChannelMissing()
    return CheckedOut(order, payment_id)


def begin_payment(*, order_number: str, account_id: int, by: Actor, now: datetime) -> Payment:
    """Write an attempt down and announce it to the main station; nothing is asked of the channel yet. Two statements.

    An open attempt of the same account is used again. May stand in the transaction that places the order.
    Raises: OrderMissing, OrderNotPayable, ChannelMissing (unknown, or its fee would eat more than the order brings).
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, {"number": order_number, "account": account_id, "now": now})
            row = cursor.fetchone()
        if row is None:
            raise OrderMissing()
        order_id, state, expires_at, total, cost, currency, channel, terms, open_id = row
        if state != OrderState.PENDING_PAYMENT or expires_at <= now:
            raise OrderNotPayable(number=order_number, state=state)
        if open_id is not None:
            return Payment.objects.get(pk=open_id)
        if (
            channel is None
            or orders.expected_margin(total_minor=total, cost_minor=cost, terms=_loaded(terms), channel=channel) < 0
        ):
            raise ChannelMissing()
        payment = Payment(
            public_id=public_id("pay"), order_id=order_id, channel=channel, account_id=account_id, amount_minor=total,
            currency=currency, state=PaymentState.CREATED, created_at=now, updated_at=now,
        )  # fmt: skip
        params = {
            "public_id": payment.public_id, "order_id": order_id, "number": order_number, "channel": channel,
            "account": account_id, "amount": total, "currency": currency, "state": str(PaymentState.CREATED), "now": now,
            "by_kind": str(by.kind), "by_label": by.label[:120],
        }  # fmt: skip
        try:
            with orders.through_the_gate(), connection.cursor() as cursor:
                cursor.execute(_BEGIN, params)
                (made,) = cursor.fetchone()
        except orders.GateRefused as refusal:
            if refusal.code in ("KG022", "KG029"):  # Closed, or dearer, since we looked.
                raise ChannelMissing() from None
            raise
        if made is None:  # Another click opened one between our two statements.
            return Payment.objects.get(order_id=order_id, account_id=account_id, state__in=_OPEN)
        payment.pk = made
        payment._state.adding = False
    return payment


def start_payment(
    *, order_number: str, account_id: int, return_url: str, cancel_url: str, notify_base: str, by: Actor, now: datetime
) -> StartedPayment:
    """Open a payment at a channel and answer where the buyer goes. Outside any transaction: the network is used.

    Args:
        return_url, cancel_url: The buyer's pages of this order. Coming back means nothing about money.
        notify_base: The scheme and host that callbacks reach ("https://shop.example"), without a slash at the end.

    Raises: OrderMissing, OrderNotPayable, ChannelMissing, ChannelAway, ChannelDeclined.
    """
    assert not connection.in_atomic_block, "start_payment calls the channel: not inside a transaction."
    payment = begin_payment(order_number=order_number, account_id=account_id, by=by, now=now)
    if payment.state == PaymentState.PENDING and payment.redirect_url:
        return _started(payment)
    with transaction.atomic():
        order = Order.objects.get(pk=payment.order_id)
    with in_main():
        account = receipts.account_with_credentials(account_id=account_id)
    request = _request(payment, order, account, return_url, cancel_url, notify_base)
    try:
        created = providers.get(account.channel).create(account=to_merchant(account), request=request)
    except ChannelRefused as refusal:
        _note_failure(payment, PaymentEvent.FAIL, by=by, now=now, problem=f"{refusal.code}: {refusal}")
        raise ChannelDeclined() from None
    except ProviderError as error:
        # A time-out is unknown, not failed: the attempt stays and is asked about. The same call may be made again.
        if error.unknown:
            _note_failure(payment, PaymentEvent.TIME_OUT, by=by, now=now, problem=str(error))
        log.warning("payments.channel.away", channel=account.channel, payment=payment.public_id, unknown=error.unknown)
        raise ChannelAway() from None
    return _record_opened(payment, created, by=by, now=now)


def _loaded(value: Any) -> Any:
    return (json.loads(value) if isinstance(value, str) else value) or {}


def to_merchant(account: AccountInfo) -> MerchantAccount:
    """An account of the receipts in the adapters' words."""
    return MerchantAccount(
        channel=account.channel, account_ref=account.account_ref, credentials=account.credentials,
        api_base=account.api_base,
    )  # fmt: skip


def _request(
    payment: Payment, order: Order, account: AccountInfo, return_url: str, cancel_url: str, notify_base: str
) -> PaymentRequest:
    locale = "en" if order.language.startswith("en") else "zh"
    with translation.override(order.language):
        title = _("Order %(number)s") % {"number": order.number}
    return PaymentRequest(
        payment_id=payment.public_id, order_number=order.number, amount_minor=payment.amount_minor,
        currency=payment.currency, title=title, return_url=return_url, cancel_url=cancel_url,
        notify_url=f"{notify_base}/hooks/{account.channel}/{account.public_id}/", created_at=payment.created_at,
        expires_at=max(order.expires_at, payment.created_at + LEAST_TIME), locale=locale, buyer_ip=order.ip,
        metadata={"order": order.number}, merchant_name=str(getattr(current_tenant(), "name", "")),
    )  # fmt: skip


def _record_opened(payment: Payment, created: CreatedPayment, *, by: Actor, now: datetime) -> StartedPayment:
    with transaction.atomic():
        move_payment(
            payment_id=payment.public_id, event=PaymentEvent.OPEN, by=by, now=now, channel_ref=created.channel_ref,
            redirect_url=created.redirect_url, qr_text=created.qr_text or "", problem="",
        )  # fmt: skip
        # Another click may have opened it a moment ago, or a callback has paid it: the row says what holds.
        return _started(Payment.objects.get(pk=payment.pk))


def _note_failure(payment: Payment, event: PaymentEvent, *, by: Actor, now: datetime, problem: str) -> None:
    with transaction.atomic():
        move_payment(payment_id=payment.public_id, event=event, by=by, now=now, note=problem, problem=problem[:300])


def _started(payment: Payment) -> StartedPayment:
    return StartedPayment(payment.public_id, payment.channel, payment.redirect_url, payment.qr_text)
