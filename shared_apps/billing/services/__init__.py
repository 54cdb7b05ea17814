"""Everything that writes billing. In the main station's scope, but for what is said to stand outside a transaction."""

from shared_apps.billing.services._card_channels import channel_for, channel_of
from shared_apps.billing.services._card_pages import open_subscription_page
from shared_apps.billing.services._cards import cancel_stray, expire_page, follow, take_event
from shared_apps.billing.services._changes import (
    QUOTE_LIFE,
    Change,
    quote_change,
    quoted,
    schedule_change,
)
from shared_apps.billing.services._closing_cards import tell_closings
from shared_apps.billing.services._confirming import confirm_change, finish_changes
from shared_apps.billing.services._deposits import return_deposit
from shared_apps.billing.services._dunning import dun
from shared_apps.billing.services._ending import cancel, end_closed, keep, pay_by_card, portal_url
from shared_apps.billing.services._errors import (
    AmountInvalid,
    BalanceTooLow,
    BillingRefused,
    ChangeRefused,
    ChannelAway,
    InvoiceMissing,
    NoWayToPay,
    PageMissing,
    QuoteOutdated,
)
from shared_apps.billing.services._invoices import (
    book_channel_payment,
    credit_note,
    find_invoice,
    is_collected_by_card,
    issue,
    pay_from_prepaid,
    void_invoice,
)
from shared_apps.billing.services._moved import tell_moved
from shared_apps.billing.services._opening import charge_opening, open_if_covered, opening_lines
from shared_apps.billing.services._pages import (
    ask_about,
    ask_due,
    credit_again,
    is_ours,
    open_signup_page,
    open_top_up,
    take_receipt,
)
from shared_apps.billing.services._subscriptions import (
    begin,
    begin_unpaid,
    collect,
    renew,
    renew_due,
)
from shared_apps.billing.services._taken_back import charge_back, payer_of

__all__ = [
    "QUOTE_LIFE",
    "AmountInvalid",
    "BalanceTooLow",
    "BillingRefused",
    "Change",
    "ChangeRefused",
    "ChannelAway",
    "InvoiceMissing",
    "NoWayToPay",
    "PageMissing",
    "QuoteOutdated",
    "ask_about",
    "ask_due",
    "begin",
    "begin_unpaid",
    "book_channel_payment",
    "cancel",
    "cancel_stray",
    "channel_for",
    "channel_of",
    "charge_back",
    "charge_opening",
    "collect",
    "confirm_change",
    "credit_again",
    "credit_note",
    "dun",
    "end_closed",
    "expire_page",
    "find_invoice",
    "finish_changes",
    "follow",
    "is_collected_by_card",
    "is_ours",
    "issue",
    "keep",
    "open_if_covered",
    "open_signup_page",
    "open_subscription_page",
    "open_top_up",
    "opening_lines",
    "pay_by_card",
    "pay_from_prepaid",
    "payer_of",
    "portal_url",
    "quote_change",
    "quoted",
    "renew",
    "renew_due",
    "return_deposit",
    "schedule_change",
    "take_event",
    "take_receipt",
    "tell_closings",
    "tell_moved",
    "void_invoice",
]
