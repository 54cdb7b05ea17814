"""Everything that writes a payment, and what becomes of the money that channels report."""

from shared_apps.receipts.services import AccountMissing, create_account, ensure_testpay_account, replay_event
from tenant_apps.payments.services._applying import take_fact
from tenant_apps.payments.services._cases import carry_out_case, settle_case
from tenant_apps.payments.services._errors import (
    ChannelAway,
    ChannelDeclined,
    ChannelMissing,
    NotSettled,
    OrderNotPayable,
    OrderNotRefundable,
)
from tenant_apps.payments.services._inbox import (
    MAX_BODY,
    ask_and_take,
    ask_for_facts,
    handle_event,
    handle_waiting,
    receive_callback,
)
from tenant_apps.payments.services._janitor import ask_about_unknown
from tenant_apps.payments.services._refunding import refund_order, refund_undelivered, run_refund
from tenant_apps.payments.services._starting import (
    CheckedOut,
    Offer,
    StartedPayment,
    begin_payment,
    checkout,
    offered_channels,
    start_payment,
    to_merchant,
)

__all__ = [
    "MAX_BODY", "AccountMissing", "ChannelAway", "ChannelDeclined", "ChannelMissing", "CheckedOut", "NotSettled", "Offer",
    "OrderNotPayable", "OrderNotRefundable", "StartedPayment", "ask_about_unknown", "ask_and_take", "ask_for_facts", "begin_payment",
    "carry_out_case", "checkout", "create_account", "ensure_testpay_account", "handle_event", "handle_waiting", "offered_channels",
    "receive_callback", "refund_order", "refund_undelivered", "replay_event", "run_refund",
    "settle_case", "start_payment", "take_fact", "to_merchant",
]  # fmt: skip
