"""Payment pages: money that comes in by a hosted page becomes prepaid balance, and pays what waits for it. Main scope,
but for what calls a channel, which stands outside any transaction.

A page is written and committed before its channel is asked. Whatever is paid on it is credited, in whatever amount and
however late: the balance is the substation's own money.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

import structlog
from django.conf import settings
from django.db import connection
from django.utils import translation
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kameng.accounts import audit
from kameng.accounts.types import SYSTEM, Actor
from kameng.db.context import in_main
from kameng.lib.errors import ProviderError
from kameng.lib.money import format_minor
from kameng.lib.words import worded
from shared_apps.billing import selectors
from shared_apps.billing.channel import PageChannel, PageRequest
from shared_apps.billing.models import PaymentPage, Subscription
from shared_apps.billing.services import _opening
from shared_apps.billing.services._card_pages import open_subscription_page
from shared_apps.billing.services._cards import ask_about_checkout
from shared_apps.billing.services._errors import (
    AmountInvalid,
    BillingRefused,
    ChannelAway,
    NoWayToPay,
    PageMissing,
    is_closed,
)
from shared_apps.billing.services._invoices import CHANNEL_FEE, prepaid
from shared_apps.billing.services._subscriptions import collect
from shared_apps.billing.services._taken_back import post, repay
from shared_apps.billing.states import PagePurpose, PageState
from shared_apps.billing.types import OpenedPage
from shared_apps.ledger import provisioning
from shared_apps.ledger import services as ledger
from shared_apps.ledger.states import Kind
from shared_apps.ledger.types import Leg
from shared_apps.receipts import services as receipts
from shared_apps.receipts.types import ReceiptInfo
from tenants.models import Signup, Substation

PAGE_LIFE = timedelta(hours=24)
# What is paid there may be told late, or not at all: it is asked about after 5 minutes, 1 hour, then daily for a month.
ASK_AFTER = (timedelta(minutes=5), timedelta(hours=1), timedelta(days=1))
GIVE_UP = 30
MOST_MINOR = 100_000_000  # What one top-up may be: a typed zero too many is not a million.
PREFIX = "bpg_"
log = structlog.get_logger("billing")


def pages() -> PageChannel:
    """What the composition named to open hosted pages."""
    return cast(PageChannel, import_string(settings.BILLING_PAGES))


def open_top_up(
    *, substation_id: int, account_id: int, amount_minor: int, return_url: str, cancel_url: str, notify_base: str,
    locale: str, now: datetime, by: Actor, purpose: PagePurpose = PagePurpose.TOPUP, payer_ip: str = "",
) -> OpenedPage:  # fmt: skip
    """Open a page on which the prepaid balance is topped up, and answer where the payer goes.

    Outside any transaction. `return_url` and `cancel_url` may have `{page}` in them, which becomes the page's id. An
    open page of the same sum and account is used again, so that two clicks pay once. A shop that is closed pays what it
    owes, and no more: what is left on its balance then would pay for nothing.
    Raises: AmountInvalid, BillingRefused (the shop is closed, and owes less), NoWayToPay, ChannelAway.
    """
    assert not connection.in_atomic_block, "open_top_up calls the channel: not inside a transaction."
    if not 0 < amount_minor <= MOST_MINOR:
        raise AmountInvalid(gettext_lazy("Top up between ¥0.01 and ¥1,000,000.00."), field="amount")
    with in_main():
        page = _page(substation_id, account_id, amount_minor, purpose, now=now, by=by)
        substation = page.substation
    if page.state == PageState.OPEN and page.url:
        return OpenedPage(page.public_id, page.url)
    with translation.override("en" if locale == "en" else "zh-hans"):
        title = _("Prepaid balance of %(shop)s") % {"shop": substation.name}
    request = PageRequest(
        account_id=account_id, reference=page.public_id, amount_minor=amount_minor, currency=page.currency, title=title,
        return_url=return_url.replace("{page}", page.public_id), cancel_url=cancel_url.replace("{page}", page.public_id),
        notify_base=notify_base, created_at=page.created_at, expires_at=page.expires_at, locale=locale,
        payer_ip=payer_ip, metadata={"substation": substation.public_id},
    )  # fmt: skip
    try:
        opened = pages().open_page(request=request)
    except ProviderError as error:
        # A time-out is unknown, not failed: the page stays as it is and is asked about; another click asks for the same.
        log.warning("billing.page.away", page=page.public_id, unknown=error.unknown, problem=str(error)[:200])
        raise ChannelAway(
            gettext_lazy("The payment channel does not answer now. Nothing was charged; try again.")
        ) from None
    with in_main():
        PaymentPage.objects.filter(pk=page.pk, state=PageState.ASKED).update(
            state=PageState.OPEN, session_ref=opened.session_id[:120], url=opened.url[:1000],
            expires_at=opened.expires_at,
        )  # fmt: skip
    return OpenedPage(page.public_id, opened.url)


def open_signup_page(
    *, signup: Signup, account_id: int, by_card: bool, missing_minor: int, return_url: str, cancel_url: str,
    notify_base: str, locale: str, payer_ip: str, by: Actor, now: datetime,
) -> OpenedPage:  # fmt: skip
    """The page on which an application is paid. Outside any transaction. `by_card`: a subscription that renews itself;
    else what is missing is topped up. Raises: what `open_top_up` and `open_subscription_page` raise."""
    assert signup.substation_id is not None, "An application has its substation."
    if by_card:
        return open_subscription_page(
            substation_id=signup.substation_id, account_id=account_id, plan_code=signup.plan.code,
            interval=signup.interval, return_url=return_url, cancel_url=cancel_url, locale=locale, by=by, now=now,
        )  # fmt: skip
    return open_top_up(
        substation_id=signup.substation_id, account_id=account_id, amount_minor=missing_minor, return_url=return_url,
        cancel_url=cancel_url, notify_base=notify_base, locale=locale, now=now, by=by, purpose=PagePurpose.SIGNUP,
        payer_ip=payer_ip,
    )  # fmt: skip


def _page(
    substation_id: int, account_id: int, amount_minor: int, purpose: PagePurpose, *, now: datetime, by: Actor
) -> PaymentPage:
    # Race: two clicks. The substation's row is locked, so that the second one finds the first's page.
    substation = Substation.objects.select_for_update(of=("self",)).get(pk=substation_id)
    if is_closed(substation.state):
        _refuse_beyond(selectors.lacking_minor(substation_id), amount_minor)
    if not selectors.collecting_accounts().filter(pk=account_id).exists():
        raise NoWayToPay(gettext_lazy("This way to pay is not offered any more. Choose another."))
    same = PaymentPage.objects.filter(
        substation_id=substation_id, account_id=account_id, amount_minor=amount_minor, purpose=purpose,
        state__in=(PageState.ASKED, PageState.OPEN), expires_at__gt=now + timedelta(minutes=10),
    ).first()  # fmt: skip
    if same is not None:
        same.substation = substation
        return same
    provisioning.open_accounts(substation, None, now)  # An applicant's shop has none yet.
    page = PaymentPage.objects.create(
        substation=substation, purpose=purpose, account_id=account_id, amount_minor=amount_minor,
        currency=substation.currency, created_at=now, expires_at=now + PAGE_LIFE, ask_at=now + ASK_AFTER[0],
    )  # fmt: skip
    audit.record(
        action="billing.page.opened", by=by, target=page.public_id, at=now, substation=substation.public_id,
        amount_minor=amount_minor, purpose=str(purpose),
    )  # fmt: skip
    return page


def _refuse_beyond(owed_minor: int, amount_minor: int) -> None:
    if not owed_minor:
        raise BillingRefused(gettext_lazy("The shop is closed for good and owes nothing. Nothing was charged."))
    if amount_minor > owed_minor:
        raise BillingRefused(
            worded(
                gettext_lazy("The shop is closed for good: it can pay the %(sum)s that it owes, and no more."),
                sum=format_minor(owed_minor),
            )
        )


def is_ours(payment_id: str) -> bool:
    """Whether a payment's id has the form of a page's; whose it is, the row says."""
    return payment_id.startswith(PREFIX)


def take_receipt(*, receipt: ReceiptInfo, now: datetime) -> bool:
    """Credit what a channel took on a page of ours, in the caller's transaction, and pay what waits for it; False when
    there is no such page on that account, or the money is of another currency: then it is a case like any other.

    Race: two callbacks of one payment. The receipt's row is unique and marked here; the ledger's key is the receipt's.
    """
    page = (
        PaymentPage.objects.select_for_update(of=("self",))
        .select_related("substation")
        .filter(public_id=receipt.payment_id, account_id=receipt.account_id)
        .first()
    )
    if page is None or page.currency != receipt.currency:
        return False
    fee = receipt.fee_minor or 0
    legs = [
        Leg(f"channel:{receipt.channel}:clearing", receipt.amount_minor),
        Leg(prepaid(page.substation_id), -receipt.amount_minor),
    ]
    if fee:
        legs += [Leg(CHANNEL_FEE, fee), Leg(f"channel:{receipt.channel}:fee", -fee)]
    ledger.post_transfer(
        key=f"topup:{receipt.public_id}", kind=Kind.TOPUP, currency=receipt.currency, event_at=receipt.occurred_at,
        legs=legs, reference_type="payment_page", reference=page.public_id, substation_id=page.substation_id,
    )  # fmt: skip
    receipts.note_receipt(receipt.id, "TOPUP")
    repay(receipt=receipt, substation_id=page.substation_id, now=now)
    if page.state != PageState.PAID:
        page.state, page.ended_at, page.ask_at = PageState.PAID, now, None
        page.save(update_fields=["state", "ended_at", "ask_at"])
    audit.record(
        action="billing.page.paid", by=SYSTEM, target=page.public_id, at=now, amount_minor=receipt.amount_minor,
        receipt=receipt.public_id,
    )  # fmt: skip
    money_came(substation_id=page.substation_id, now=now)
    return True


def credit_again(*, receipt: ReceiptInfo, substation_id: int, case_public_id: str, now: datetime) -> str:
    """Put a case's money on the prepaid balance; what the channel keeps of it is ours to bear. Answers trf_…"""
    fee = receipt.fee_minor or 0
    legs = [
        Leg(f"suspense:{receipt.channel}", receipt.amount_minor), Leg(prepaid(substation_id), -receipt.amount_minor),
        Leg(CHANNEL_FEE, fee), Leg(f"channel:{receipt.channel}:fee", -fee),
    ]  # fmt: skip
    transfer = post(f"credit:{case_public_id}", receipt, substation_id, legs, now)
    repay(receipt=receipt, substation_id=substation_id, now=now)
    money_came(substation_id=substation_id, now=now)
    return transfer


def money_came(*, substation_id: int, now: datetime) -> None:
    """The prepaid balance has grown: open the shop that waits for it, or pay what is due. In the caller's transaction."""
    if not _opening.open_if_covered(substation_id=substation_id, now=now) and _has_subscription(substation_id):
        collect(substation_id=substation_id, now=now)


def _has_subscription(substation_id: int) -> bool:
    return Subscription.objects.filter(substation_id=substation_id).exists()


def ask_about(*, page_public_id: str, now: datetime) -> str:
    """Fetch what became of a page now, and take it; answers its state. Outside any transaction: the channel is called.

    Raises: PageMissing, ChannelAway.
    """
    assert not connection.in_atomic_block, "ask_about calls the channel: not inside a transaction."
    with in_main():
        page = PaymentPage.objects.filter(public_id=page_public_id).first()
    if page is None:
        raise PageMissing(gettext_lazy("There is no such payment."))
    if page.state == PageState.PAID:
        return page.state
    try:
        if page.purpose == PagePurpose.SUBSCRIBE:
            said = ask_about_checkout(page, now=now)
        else:
            said = pages().ask(account_id=page.account_id, reference=page.public_id, session_id=page.session_ref)
    except ProviderError as error:
        log.warning("billing.page.ask_failed", page=page.public_id, problem=str(error)[:200])
        raise ChannelAway(gettext_lazy("The payment channel does not answer now. We go on asking.")) from None
    with in_main():
        row = PaymentPage.objects.select_for_update().get(pk=page.pk)
        if row.state in (PageState.ASKED, PageState.OPEN):
            over = said in ("FAILED", "EXPIRED") or (said == "NOT_FOUND" and now >= row.expires_at)
            row.ask_count += 1
            pause = ASK_AFTER[min(row.ask_count, len(ASK_AFTER) - 1)]
            row.ask_at = None if over or row.ask_count >= GIVE_UP else now + pause
            if over:
                row.state, row.ended_at = PageState.ENDED, now
            row.save(update_fields=["state", "ended_at", "ask_at", "ask_count"])
        return row.state


def ask_due(*, now: datetime, limit: int = 100) -> int:
    """Ask about every page whose time has come; answers how many. Outside any transaction."""
    with in_main():
        due = list(
            PaymentPage.objects.filter(ask_at__lte=now).order_by("ask_at").values_list("public_id", flat=True)[:limit]
        )
    for public_id in due:
        try:
            ask_about(page_public_id=public_id, now=now)
        except ChannelAway:
            with in_main():
                PaymentPage.objects.filter(public_id=public_id, ask_at__isnull=False).update(ask_at=now + ASK_AFTER[0])
        except Exception:  # One page's trouble must not keep the others' money waiting.
            log.exception("billing.page.broken", page=public_id)
    return len(due)
