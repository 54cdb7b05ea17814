"""Hosted pages on which a subscription by card begins: opened once, and taken away when the balance has paid instead."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db import connection
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib.errors import ProviderError
from shared_apps.billing.models import PaymentPage, Subscription
from shared_apps.billing.services._card_channels import channel_of
from shared_apps.billing.services._errors import BillingRefused, ChannelAway, refuse_closed
from shared_apps.billing.services._invoices import deposit
from shared_apps.billing.services._pending import refuse_beside
from shared_apps.billing.states import Method, PagePurpose, PageState, SubscriptionState
from shared_apps.billing.types import OpenedPage
from shared_apps.ledger import provisioning
from shared_apps.ledger import selectors as ledger
from tenants.models import Plan, Substation

PAGE_LIFE = timedelta(hours=24)
EXPIRE_JOB = "billing.expire_page"
log = structlog.get_logger("billing")
_AWAY = _("The payment channel does not answer now. Nothing was changed; try again.")


def open_subscription_page(
    *, substation_id: int, account_id: int, plan_code: str, interval: str, return_url: str, cancel_url: str, locale: str,
    by: Actor, now: datetime,
) -> OpenedPage:  # fmt: skip
    """A hosted page on which a substation subscribes by card, and where its payer goes. Outside any transaction.

    What was paid for before runs on: the first charge comes when it is over. Raises: BillingRefused (something is due
    first; a card pays for it already; the shop is closed), NoWayToPay, ChannelAway.
    """
    assert not connection.in_atomic_block, "open_subscription_page calls the channel: not inside a transaction."
    channel = channel_of(account_id, offered=True)
    with in_main():
        page, opening, held, trial_days = _write_page(substation_id, account_id, plan_code, interval, by=by, now=now)
        shop, plan = page.substation, page.plan
        assert plan is not None
        row = Subscription.objects.filter(substation_id=substation_id).first()
        customer = row.stripe_customer if row else ""
    if page.state == PageState.OPEN and page.url:
        return OpenedPage(page.public_id, page.url)
    with translation.override("en" if locale == "en" else "zh-hans"):
        name = f"{shop.name} · {plan.label}"
    try:
        customer = customer or channel.ensure_customer(
            substation_public_id=shop.public_id, email=shop.owner_email, name=shop.owner_name or shop.name,
            idempotency_key=f"customer:{shop.public_id}",
        )  # fmt: skip
        opened = channel.open_checkout(
            customer=customer, currency=page.currency, opening_fee_minor=opening, deposit_minor=held,
            period_fee_minor=plan.period_fee_minor(interval), interval=interval, trial_days=trial_days, plan=plan.code,
            name=name, success_url=return_url.replace("{page}", page.public_id),
            cancel_url=cancel_url.replace("{page}", page.public_id), reference=page.public_id,
            idempotency_key=page.public_id, locale=locale,
        )  # fmt: skip
    except ProviderError as error:
        log.warning("billing.checkout.away", page=page.public_id, unknown=error.unknown, problem=str(error)[:200])
        raise ChannelAway(_AWAY) from None
    with in_main():
        PaymentPage.objects.filter(pk=page.pk, state=PageState.ASKED).update(
            state=PageState.OPEN,
            session_ref=opened.session_id[:120],
            url=opened.url[:1000],
            expires_at=opened.expires_at,
        )
    return OpenedPage(page.public_id, opened.url)


def _write_page(
    substation_id: int, account_id: int, plan_code: str, interval: str, *, by: Actor, now: datetime
) -> tuple[PaymentPage, int, int, int]:
    """The page's row with what is charged once on it (opening fee, deposit), and the days that are free before."""
    # Race: two clicks. The substation's row is locked, so that the second one finds the first's page.
    shop = Substation.objects.select_for_update(of=("self",)).get(pk=substation_id)
    refuse_closed(shop.state)
    plan = Plan.objects.get(code=plan_code)
    if not plan.period_fee_minor(interval):
        raise BillingRefused(_("This plan costs nothing for that period; no card is needed."))
    provisioning.open_accounts(shop, None, now)
    row = Subscription.objects.filter(substation_id=substation_id).first()
    if row is not None:
        if row.method == Method.STRIPE and row.state != SubscriptionState.ENDED:
            raise BillingRefused(_("A card pays for this plan already."))
        if row.state == SubscriptionState.PAST_DUE:
            raise BillingRefused(_("Pay what is due first; then the card can take over."))
        refuse_beside(substation_id)  # What a page asks for once depends on what that change has paid.
    opening, held, free = reckon(row, plan, interval, substation_id, now=now)
    due = opening + held + (0 if free else plan.period_fee_minor(interval))
    same = PaymentPage.objects.filter(
        substation_id=substation_id, account_id=account_id, purpose=PagePurpose.SUBSCRIBE, plan=plan, interval=interval,
        amount_minor=due, state__in=(PageState.ASKED, PageState.OPEN), expires_at__gt=now + timedelta(minutes=10),
        created_at__gt=now - timedelta(hours=1),
    ).first()  # fmt: skip
    if same is not None:
        same.substation, same.plan = shop, plan
        return same, opening, held, free
    page = PaymentPage.objects.create(
        substation=shop, purpose=PagePurpose.SUBSCRIBE, account_id=account_id, amount_minor=due, currency=shop.currency,
        plan=plan, interval=interval, created_at=now, expires_at=now + PAGE_LIFE, ask_at=now + timedelta(minutes=5),
    )  # fmt: skip
    audit.record(
        action="billing.page.opened", by=by, target=page.public_id, at=now, substation=shop.public_id, amount_minor=due,
        purpose=str(PagePurpose.SUBSCRIBE),
    )  # fmt: skip
    return page, opening, held, free


def reckon(
    row: Subscription | None, plan: Plan, interval: str, substation_id: int, *, now: datetime
) -> tuple[int, int, int]:
    """What a subscription by card is charged once, for opening and as deposit, and the days that are free before."""
    free = plan.trial_days if plan.has_trial else 0
    opening = plan.opening_fee_minor
    if row is not None:
        until = row.trial_ends_at if row.state == SubscriptionState.TRIAL else row.period_end
        free = (
            -(-max(0, int((until - now).total_seconds())) // 86_400)
            if until and row.state != SubscriptionState.ENDED
            else 0
        )
        opening = max(0, plan.opening_fee_minor - row.plan.opening_fee_minor)
    held = max(0, plan.deposit_minor - ledger.balance_minor(deposit(substation_id)))
    return opening, held, free


def end_page(page: PaymentPage, state: PageState, *, now: datetime) -> None:
    """The page begins nothing more; one that has ended stays as it did."""
    PaymentPage.objects.filter(pk=page.pk, state__in=(PageState.ASKED, PageState.OPEN)).update(
        state=state, ended_at=now, ask_at=None
    )


def take_pages_away(substation_id: int) -> None:
    """The balance has paid: no card shall pay for the same on a page that is still open. In the caller's transaction;
    the channel is told by a job. A payer who is faster is paid back (`_one_too_many`)."""
    pages = PaymentPage.objects.filter(
        substation_id=substation_id, purpose=PagePurpose.SUBSCRIBE, state__in=(PageState.ASKED, PageState.OPEN)
    )
    for public_id in pages.values_list("public_id", flat=True):
        jobs.enqueue(kind=EXPIRE_JOB, payload={"page_public_id": public_id}, dedupe=public_id)
