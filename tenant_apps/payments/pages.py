"""Hosted pages for billing: a shop's owner tops their balance up through the same channels that take buyers' money.

Composition hands this to shared_apps.billing (settings.BILLING_PAGES); billing decides what a payment is for.
"""

from __future__ import annotations

from kameng.db.context import in_main
from kameng.lib import clock
from shared_apps.billing.channel import HostedPage, PageRequest
from shared_apps.receipts import services as receipts
from tenant_apps.payments import providers
from tenant_apps.payments.providers.base import PaymentRequest
from tenant_apps.payments.services import ask_for_facts, to_merchant


class ChannelPages:
    """shared_apps.billing.channel.PageChannel over the adapters of the payment channels."""

    def open_page(self, *, request: PageRequest) -> HostedPage:
        """Ask the channel to collect. Raises: ProviderError, AccountMissing."""
        with in_main():
            account = receipts.account_with_credentials(account_id=request.account_id)
        created = providers.get(account.channel).create(
            account=to_merchant(account),
            request=PaymentRequest(
                payment_id=request.reference, order_number=request.reference, amount_minor=request.amount_minor,
                currency=request.currency, title=request.title, return_url=request.return_url,
                cancel_url=request.cancel_url,
                notify_url=f"{request.notify_base}/hooks/{account.channel}/{account.public_id}/",
                created_at=request.created_at, expires_at=request.expires_at, locale=request.locale,
                buyer_ip=request.payer_ip, metadata=dict(request.metadata or {}), merchant_name="Kameng",
            ),
        )  # fmt: skip
        return HostedPage(created.redirect_url, created.channel_ref, created.expires_at)

    def ask(self, *, account_id: int, reference: str, session_id: str) -> str:
        """Fetch a payment and take its facts. Raises: ProviderError, AccountMissing."""
        with in_main():
            account = receipts.account_with_credentials(account_id=account_id)
        return ask_for_facts(account=account, payment_id=reference, channel_ref=session_id, now=clock.utc_now())


PAGES = ChannelPages()
