"""Our contract spoken to Stripe with Checkout Sessions (mode `payment`).

What a buyer may pay with is left to the account's own settings in Stripe. A webhook only says where to look: the
session is fetched again with the account's own key before anything counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import stripe

from kameng.lib.clock import utc_now
from kameng.lib.errors import ProviderError
from kameng.lib.outside import http
from kameng.lib.outside.stripe import NAME, client_for, fetched, our_errors, verified_event

from ..base import (
    BillLine,
    CallbackAnswer,
    CallbackEvent,
    ChannelRefused,
    ChannelState,
    ChannelStatus,
    CreatedPayment,
    MerchantAccount,
    PaymentRequest,
    RefundState,
    RefundStatus,
    from_timestamp,
    header,
)
from . import _reading

if TYPE_CHECKING:
    from stripe.params import RefundCreateParams
    from stripe.params.checkout import SessionCreateParams

# Stripe: "anywhere from 30 minutes to 24 hours after Checkout Session creation". The margins leave room for a
# repeat some minutes later, which must carry the same expires_at as the first try.
SHORTEST_LIFE = timedelta(minutes=35)
LONGEST_LIFE = timedelta(hours=23, minutes=50)
# Where to look for a session whose creation was not answered.
SEARCH_BEFORE, SEARCH_AFTER = timedelta(minutes=5), timedelta(minutes=30)
SEARCH_BACK = timedelta(hours=25)
LONGEST_SEARCH = 20_000  # Sessions. Beyond it the answer is "ask again", never "not found".

EXPANDED_OF_INTENT = ["latest_charge.balance_transaction", "latest_charge.refunds"]
EXPANDED = [f"payment_intent.{name}" for name in EXPANDED_OF_INTENT]
CLOSED_WORLD = ("complete", "expired")


class StripeAdapter:
    """See `base.PaymentChannel`."""

    name = NAME
    bill_zone: tzinfo = UTC  # Stripe's reports count days in UTC unless they are asked otherwise.

    def __init__(self, *, limits: http.Limits | None = None, clock: Callable[[], datetime] = utc_now) -> None:
        self._transport = http.Transport(NAME, limits)
        self._clock = clock

    def create(self, *, account: MerchantAccount, request: PaymentRequest) -> CreatedPayment:
        """See the contract. Stripe forgets the idempotency key after about a day."""
        client = self._client(account)
        with our_errors(writing=True):
            session = client.v1.checkout.sessions.create(
                _create_params(request), {"idempotency_key": request.payment_id}
            ).to_dict()
        with http.understood(NAME, writing=True):
            return CreatedPayment(
                channel_ref=session["id"],
                redirect_url=session["url"],
                qr_text=session["url"],
                expires_at=from_timestamp(session["expires_at"]),
                raw=session,
            )

    def query(
        self, *, account: MerchantAccount, payment_id: str, channel_ref: str = "", sent_at: datetime | None = None
    ) -> ChannelState:
        """See the contract. `channel_ref` may also be a payment intent's, as callbacks about charges carry it: one that no
        session has paid an invoice, and tells what went back of it.

        Without one, sessions made around `sent_at` (or in the last 25 hours) are read through for our id, because
        Stripe can't be asked for it.
        """
        client = self._client(account)
        if channel_ref.startswith("pi_"):
            session_id = self._session_of_intent(client, channel_ref)
            if not session_id:
                return self._invoiced(client, channel_ref)
        else:
            session_id = channel_ref or self._session_of_payment(client, payment_id, sent_at)
        session = fetched(lambda: self._session(client, session_id)) if session_id else None
        if session is None:
            return ChannelState(ChannelStatus.NOT_FOUND, payment_id=payment_id, channel_ref=channel_ref)
        followed = self._followed(client, _reading.charge_of(session))
        with http.understood(NAME, writing=False):
            return _reading.state(session, *followed)

    def close(self, *, account: MerchantAccount, payment_id: str, channel_ref: str) -> ChannelState:
        """See the contract."""
        client = self._client(account)
        try:
            with our_errors(writing=True):
                client.v1.checkout.sessions.expire(channel_ref)
        except ChannelRefused:
            # Only an open session can be expired. Whichever way this one ended, its state says so; and when the
            # refusal had another reason (the key, say), asking for the state is refused for the same one.
            state = self.query(account=account, payment_id=payment_id, channel_ref=channel_ref)
            if state.raw.get("status") in (*CLOSED_WORLD, None):
                return state
            raise
        return self.query(account=account, payment_id=payment_id, channel_ref=channel_ref)

    def verify_callback(
        self, *, account: MerchantAccount, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> CallbackEvent:
        """See the contract."""
        event = verified_event(
            self._client(account), body=body, signature=header(headers, "Stripe-Signature"), now=now,
            secret=account.credentials["webhook_secret"], api_key=account.credentials["api_key"],
            account_ref=account.account_ref,
        )  # fmt: skip
        return _reading.callback_event(event, account.account_ref)

    def acknowledge(self, *, event: CallbackEvent) -> CallbackAnswer:
        """Any 2xx will do."""
        return CallbackAnswer(200, "application/json", b'{"received": true}')

    def refund(
        self,
        *,
        account: MerchantAccount,
        payment_id: str,
        channel_ref: str,
        refund_id: str,
        amount_minor: int,
        currency: str,
        reason: str,
    ) -> RefundState:
        """See the contract. Known refunds are looked through first: Stripe's own memory of the key ends after a day."""
        client = self._client(account)
        charge = self._charge_to_refund(client, channel_ref, currency)
        known = self._refund_of_ours(client, charge, refund_id)
        if known is not None:
            if known["amount"] != amount_minor:
                raise ChannelRefused("this refund has another amount", code="idempotency_conflict", provider=NAME)
            return _reading.refund_state(known, refund_id)
        params: RefundCreateParams = {
            "charge": charge["id"],
            "amount": amount_minor,
            "reason": "requested_by_customer",
            "metadata": {"payment": payment_id, "refund": refund_id, "note": reason[:500]},
        }
        try:
            with our_errors(writing=True):
                made = client.v1.refunds.create(params, {"idempotency_key": refund_id}).to_dict()
        except ChannelRefused as refusal:
            if refusal.code == "charge_already_refunded" or _blames(refusal, "amount"):
                raise ChannelRefused(str(refusal), code="over_refund", provider=NAME) from refusal
            raise
        with http.understood(NAME, writing=True):
            return _reading.refund_state(made, refund_id)

    def query_refund(
        self,
        *,
        account: MerchantAccount,
        payment_id: str,
        channel_ref: str,
        refund_id: str,
        channel_refund_ref: str = "",
    ) -> RefundState:
        """See the contract."""
        client = self._client(account)
        found: Mapping[str, Any] | None
        if channel_refund_ref:
            found = fetched(lambda: client.v1.refunds.retrieve(channel_refund_ref).to_dict())
        else:
            session = fetched(lambda: self._session(client, channel_ref))
            charge = _reading.charge_of(session) if session else None
            found = self._refund_of_ours(client, charge, refund_id) if charge else None
        if found is None:
            return RefundState(RefundStatus.NOT_FOUND, refund_id, "", 0, "", None)
        return _reading.refund_state(found, refund_id)

    def bill(self, *, account: MerchantAccount, day: date) -> Iterator[BillLine]:
        """See the contract; newest first, as Stripe lists them. Currencies are those that Stripe settles in."""
        client = self._client(account)
        start = datetime.combine(day, time(), tzinfo=UTC)
        end = start + timedelta(days=1)
        with our_errors(writing=False):
            lines = client.v1.balance_transactions.list(
                {
                    "created": {"gte": int(start.timestamp()), "lt": int(end.timestamp())},
                    "limit": 100,
                    "expand": ["data.source"],
                }
            )
            for line in lines.auto_paging_iter():
                yield _reading.bill_line(line.to_dict())

    def _client(self, account: MerchantAccount) -> stripe.StripeClient:
        return client_for(api_key=account.credentials["api_key"], api_base=account.api_base, transport=self._transport)

    def _session(self, client: stripe.StripeClient, session_id: str) -> Mapping[str, Any]:
        return client.v1.checkout.sessions.retrieve(session_id, {"expand": EXPANDED}).to_dict()

    def _session_of_intent(self, client: stripe.StripeClient, intent_id: str) -> str:
        with our_errors(writing=False):
            found = client.v1.checkout.sessions.list({"payment_intent": intent_id, "limit": 1}).data
        return found[0].id if found else ""

    def _invoiced(self, client: stripe.StripeClient, intent_id: str) -> ChannelState:
        """What went back of an invoice's payment. That it came is told by the invoice, to billing."""
        with our_errors(writing=False):
            paid = client.v1.invoice_payments.list(
                {"payment": {"type": "payment_intent", "payment_intent": intent_id}, "limit": 1}
            ).data
            if not paid:
                return ChannelState(ChannelStatus.NOT_FOUND, channel_ref=intent_id)
            invoice = client.v1.invoices.retrieve(str(paid[0].invoice)).to_dict()
            intent = client.v1.payment_intents.retrieve(intent_id, {"expand": EXPANDED_OF_INTENT}).to_dict()
        charge = _reading.charge_of_intent(intent)
        followed = self._followed(client, charge)
        with http.understood(NAME, writing=False):
            return _reading.invoiced(invoice, intent, *followed)

    def _session_of_payment(self, client: stripe.StripeClient, payment_id: str, sent_at: datetime | None) -> str:
        if not payment_id:
            raise ValueError("query needs channel_ref or payment_id")
        since = sent_at - SEARCH_BEFORE if sent_at else self._clock() - SEARCH_BACK
        until = sent_at + SEARCH_AFTER if sent_at else self._clock() + SEARCH_BEFORE
        with our_errors(writing=False):
            sessions = client.v1.checkout.sessions.list(
                {"created": {"gte": int(since.timestamp()), "lte": int(until.timestamp())}, "limit": 100}
            )
            for seen, session in enumerate(sessions.auto_paging_iter()):
                if session.client_reference_id == payment_id:
                    return session.id
                if seen >= LONGEST_SEARCH:
                    raise ProviderError("too many sessions to search through", retryable=True, provider=NAME)
        return ""

    def _followed(
        self, client: stripe.StripeClient, charge: Mapping[str, Any] | None
    ) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
        """The refunds and the disputes of a charge."""
        if charge is None:
            return (), ()
        return self._refunds(client, charge), self._disputes(client, charge)

    def _refunds(self, client: stripe.StripeClient, charge: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Every refund of a charge. The expanded list holds the newest ten, without the money of failed ones."""
        listed = charge.get("refunds") or {"data": [], "has_more": True}
        if not listed["has_more"] and all(refund["status"] != "failed" for refund in listed["data"]):
            data: Sequence[Mapping[str, Any]] = listed["data"]
            return data
        with our_errors(writing=False):
            found = client.v1.refunds.list(
                {"charge": charge["id"], "limit": 100, "expand": ["data.failure_balance_transaction"]}
            )
            return [refund.to_dict() for refund in found.auto_paging_iter()]

    def _disputes(self, client: stripe.StripeClient, charge: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        if not charge["disputed"]:
            return ()
        with our_errors(writing=False):
            found = client.v1.disputes.list({"charge": charge["id"], "limit": 100})
            return [dispute.to_dict() for dispute in found.auto_paging_iter()]

    def _charge_to_refund(self, client: stripe.StripeClient, channel_ref: str, currency: str) -> Mapping[str, Any]:
        session = fetched(lambda: self._session(client, channel_ref))
        charge = _reading.charge_of(session) if session else None
        if charge is None or charge["status"] != "succeeded":
            raise ChannelRefused("there is no paid charge to refund", code="not_found", provider=NAME)
        if charge["currency"] != currency.lower():  # A refund names no currency at Stripe: it takes the charge's.
            raise ChannelRefused(f"the charge is in {charge['currency']}", code="wrong_currency", provider=NAME)
        return charge

    def _refund_of_ours(
        self, client: stripe.StripeClient, charge: Mapping[str, Any], refund_id: str
    ) -> Mapping[str, Any] | None:
        refunds = self._refunds(client, charge)
        return next((refund for refund in refunds if (refund["metadata"] or {}).get("refund") == refund_id), None)


def _create_params(request: PaymentRequest) -> SessionCreateParams:
    """The session we ask for; a function of the request alone, so that a repeat is the same to the byte."""
    labels = {**request.metadata, "order": request.order_number, "payment": request.payment_id}
    life = min(max(request.expires_at, request.created_at + SHORTEST_LIFE), request.created_at + LONGEST_LIFE)
    return {
        "mode": "payment",
        "client_reference_id": request.payment_id,
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": request.currency.lower(),
                    "unit_amount": request.amount_minor,
                    "product_data": {"name": request.title},
                },
            }
        ],
        "metadata": labels,
        # A session's labels do not reach its charge and refunds; the intent's do.
        "payment_intent_data": {"metadata": labels, "description": request.order_number},
        "payment_method_options": {"wechat_pay": {"client": "web"}},  # WeChat Pay on Checkout insists on it.
        "success_url": request.return_url,
        "cancel_url": request.cancel_url,
        "expires_at": int(life.timestamp()),
        "locale": "zh" if request.locale.startswith("zh") else "en",
    }


def _blames(refusal: ChannelRefused, param: str) -> bool:
    return isinstance(refusal.__cause__, stripe.InvalidRequestError) and refusal.__cause__.param == param


ADAPTER = StripeAdapter()
