"""Which of the main station's accounts runs a subscription by card."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from kameng.db.context import in_main
from shared_apps.billing import selectors, stripe
from shared_apps.billing.channel import BillingChannel
from shared_apps.billing.models import PaymentPage, Subscription
from shared_apps.billing.services._card_invoices import CHANNEL
from shared_apps.billing.services._errors import NoWayToPay
from shared_apps.billing.states import Method, PagePurpose, PageState
from shared_apps.receipts import services as receipts


def channel_of(account_id: int, *, offered: bool = False) -> BillingChannel:
    """The channel of one of the main station's accounts, with its secrets. `offered`: only while it is switched on.

    What runs on an account goes on when it is switched off: Stripe still charges, and what it charged is ours to book.
    Raises: NoWayToPay.
    """
    with in_main():
        accounts = selectors.collecting_accounts() if offered else selectors.own_accounts()
        if not accounts.filter(pk=account_id, channel=CHANNEL).exists():
            raise NoWayToPay(_("This way to pay is not offered any more. Choose another."))
        account = receipts.account_with_credentials(account_id=account_id)
    return stripe.channel(account)


def account_of(row: Subscription) -> int:
    """The merchant account that a subscription by card was begun on. Main scope. Raises: NoWayToPay."""
    if row.page is not None:  # A page that was paid since began nothing, but is paid as well.
        return row.page.account_id
    pages = PaymentPage.objects.filter(
        substation_id=row.substation_id, purpose=PagePurpose.SUBSCRIBE, state=PageState.PAID
    )
    page = pages.order_by("-id").first()
    if page is None:
        raise NoWayToPay(_("This shop has no subscription by card."))
    return page.account_id


def channel_for(substation_id: int) -> BillingChannel:
    """The channel that runs a substation's subscription. Outside any transaction. Raises: NoWayToPay."""
    with in_main():
        row = selectors.subscription(substation_id)
        if row is None or row.method != Method.STRIPE:
            raise NoWayToPay(_("This shop has no subscription by card."))
        account = receipts.account_with_credentials(account_id=account_of(row))
    return stripe.channel(account)
