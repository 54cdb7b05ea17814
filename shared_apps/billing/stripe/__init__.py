"""Stripe Billing behind our own contract: `channel(account)` speaks for one merchant account."""

from __future__ import annotations

import json

from shared_apps.billing.channel import BillingChannel, BillingEvent
from shared_apps.receipts.types import AccountInfo


def channel(account: AccountInfo) -> BillingChannel:
    """What collects subscriptions on this account. `account.credentials` must be there: `api_key`.

    The SDK takes longer to import than a page takes to be made, so it is loaded when it is first needed.
    """
    from shared_apps.billing.stripe.adapter import StripeBilling

    return StripeBilling(account)


def stored_event(body: bytes) -> BillingEvent | None:
    """What a webhook says that passed its checks when it was stored; None when it is nothing of billing's."""
    from shared_apps.billing.stripe import _reading

    return _reading.event(json.loads(body))
