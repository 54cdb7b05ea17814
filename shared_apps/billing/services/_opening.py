"""Paying to open a shop: an application waits until its balance covers what the plan costs; then it is made. Main scope."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from kameng.accounts.types import SYSTEM
from shared_apps.billing import prorata, texts
from shared_apps.billing.services._card_pages import take_pages_away
from shared_apps.billing.services._invoices import issue, pay_from_prepaid, prepaid
from shared_apps.billing.services._subscriptions import begin
from shared_apps.billing.states import InvoiceKind
from shared_apps.billing.types import Line
from shared_apps.ledger import selectors as ledger
from tenants import paying
from tenants.models import Plan, Substation


def opening_lines(plan: Plan, interval: str, at: datetime) -> list[Line]:
    """What has to be paid before a shop on `plan` is made: opening fee, first period unless there is a trial, deposit."""
    lines = [texts.opening_line(plan)]
    fee = plan.period_fee_minor(interval)
    if not plan.has_trial:
        end = prorata.add_months(at, prorata.MONTHS[interval], texts.zone())
        lines.append(texts.period_line(plan, interval, fee, at, end))
    lines.append(texts.deposit_line(plan, plan.deposit_minor))
    return [line for line in lines if line.amount_minor]


def open_if_covered(*, substation_id: int, now: datetime) -> bool:
    """When an application waits for payment and its prepaid balance covers it: charge it, begin its subscription and
    have the shop made; answers whether an application waits no longer. In the caller's transaction.

    Race: two payments come in at once. The signup's row is locked, and its state read under the lock.
    """
    with transaction.atomic():
        signup = paying.lock_paying(substation_id)
        if signup is None:
            return False
        lines = opening_lines(signup.plan, signup.interval, now)
        total = sum(line.amount_minor for line in lines)
        account = prepaid(substation_id)
        if not ledger.has_account(account) or ledger.balance_minor(account) < total:
            return False
        substation = Substation.objects.select_related("plan").get(pk=substation_id)
        charge_opening(substation=substation, interval=signup.interval, lines=lines, now=now)
        paying.paid(signup_id=signup.pk, now=now)
    return True


def charge_opening(*, substation: Substation, interval: str, lines: list[Line], now: datetime) -> None:
    """The invoices of an opening, paid from the balance, and the subscription that they begin."""
    income = [line for line in lines if line.kind != "deposit"]
    held = [line for line in lines if line.kind == "deposit"]
    first = next((line for line in income if line.kind == "period"), None)
    period = (first.period_start, first.period_end) if first and first.period_start and first.period_end else None
    for kind, part in ((InvoiceKind.OPENING, income), (InvoiceKind.DEPOSIT, held)):
        if part:
            span = period if kind == InvoiceKind.OPENING else None
            invoice = issue(substation=substation, kind=kind, lines=part, at=now, period=span)
            pay_from_prepaid(invoice_id=invoice.pk, now=now, by=SYSTEM)
    begin(substation=substation, interval=interval, now=now, paid_period=first is not None)
    take_pages_away(substation.pk)
