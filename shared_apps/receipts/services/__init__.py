"""Everything that writes receipts, the inbox, cases and refunds. All of it in the main station's scope."""

from shared_apps.receipts.services._accounts import (
    AccountInvalid,
    AccountMissing,
    account_with_credentials,
    create_account,
    ensure_testpay_account,
    reseal_accounts,
    set_enabled,
)
from shared_apps.receipts.services._books import (
    charge_to_shop,
    credit_to_shop,
    into_suspense,
    note_returned,
    open_channel,
    refund_from_suspense,
    refund_sale,
)
from shared_apps.receipts.services._cases import (
    CaseMissing,
    CaseRefused,
    EvidenceMissing,
    add_note,
    allowed_resolutions,
    begin_settlement,
    finish_case,
    lock_case,
    open_case,
    reopen_case,
    request_settlement,
    return_disputed,
    use_receipt,
)
from shared_apps.receipts.services._facts import ask_soon, note_receipt, receipt, record_fact, schedule_question
from shared_apps.receipts.services._inbox import (
    EventMissing,
    event,
    mark_failed,
    mark_handled,
    replay_event,
    store_event,
    waiting_events,
)
from shared_apps.receipts.services._refunds import (
    RefundRefused,
    ask_refund,
    note_refund,
    note_refunded,
    refund,
    refunds_to_ask,
    wake_refund,
)

__all__ = [
    "AccountInvalid", "AccountMissing", "CaseMissing", "CaseRefused", "EventMissing", "EvidenceMissing",
    "RefundRefused", "account_with_credentials", "add_note", "allowed_resolutions", "ask_refund", "ask_soon", "begin_settlement",
    "charge_to_shop", "create_account", "credit_to_shop", "ensure_testpay_account", "event", "finish_case",
    "into_suspense", "lock_case", "mark_failed", "mark_handled", "note_receipt", "note_refund", "note_refunded", "note_returned", "open_case",
    "open_channel", "receipt", "record_fact", "refund", "refund_from_suspense", "refund_sale", "refunds_to_ask", "reopen_case",
    "replay_event", "reseal_accounts", "request_settlement", "return_disputed", "schedule_question", "set_enabled", "store_event", "use_receipt",
    "waiting_events", "wake_refund",
]  # fmt: skip
