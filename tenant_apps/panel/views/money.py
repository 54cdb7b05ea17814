"""The statement: what came in, what went out, what stands; its owner's alone."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from kameng.accounts import catalogue
from kameng.lib import money
from kameng.lib.words import Sentence
from tenant_apps.finance import selectors as finance
from tenant_apps.finance.types import ACCOUNTS, Line, Statement
from tenant_apps.panel import words
from tenant_apps.panel.access import screen
from tenant_apps.panel.forms.money import StatementFilters
from tenant_apps.panel.lists import Column, day_end, day_start, export, local_time, wants_export
from tenant_apps.panel.page import page

PER_PAGE = 50
EXPORTED = 100_001  # One more than a file may hold, so that `export` notices.


@require_GET
@screen(catalogue.MONEY_LOOK)
def statement(request: HttpRequest) -> HttpResponseBase:
    first, last = _days(StatementFilters(request.GET))
    shown_days = request.GET.copy()
    shown_days["since"], shown_days["until"] = first.isoformat(), last.isoformat()
    filters = StatementFilters(shown_days)
    since, until = day_start(first), day_end(last)
    account = filters.chip_value
    if wants_export(request):
        whole = finance.statement(since=since, until=until, account=account, limit=EXPORTED)
        return export(request, "statement", _COLUMNS, list(whole.lines))
    found, shown = _page_of(request, since, until, account)
    balances = finance.balances()
    tiles = [
        {"label": words.ACCOUNTS[name], "minor": balances[name], "beside": words.ACCOUNT_NOTES.get(name, "")}
        for name in ACCOUNTS
        if name in ("pending", "available") or balances[name]
    ]
    return page(
        request, "panel/statement.html", here="statement", heading=_("Statement"), filters=filters, found=found,
        rows=shown, lines=[_line_row(line) for line in found.lines], tiles=tiles, chips=_chips(filters, balances),
        periods=_periods(request, first, last), first=first, last=last,
        period_minor=found.closing_minor - found.opening_minor, out_minor=-found.out_minor,
    )  # fmt: skip


def _days(filters: StatementFilters) -> tuple[dt.date, dt.date]:
    """The period's first and last day; this month where the address says none. Turned round when last is first."""
    today = timezone.localdate()
    first = filters.value("since") or today.replace(day=1)
    last = filters.value("until") or max(today, first)
    return min(first, last), max(first, last)


def _page_of(request: HttpRequest, since: dt.datetime, until: dt.datetime, account: str) -> tuple[Statement, Page[Any]]:
    typed = request.GET.get("page", "1")
    wanted = max(int(typed), 1) if typed.isascii() and typed.isdigit() and len(typed) < 8 else 1
    found = finance.statement(since=since, until=until, account=account, limit=PER_PAGE, offset=(wanted - 1) * PER_PAGE)
    shown = Paginator(range(found.line_count), PER_PAGE).get_page(wanted)
    if shown.number != wanted:  # Beyond the last page: show the last.
        found = finance.statement(
            since=since, until=until, account=account, limit=PER_PAGE, offset=(shown.number - 1) * PER_PAGE
        )
    return found, shown


def _line_row(line: Line) -> dict[str, Any]:
    screens = {"order": "panel:order", "invoice": "panel:invoice"}
    name = screens.get(line.reference_type.lower(), "") if line.reference else ""
    return {
        "line": line, "kind": words.KINDS.get(line.kind, line.kind), "account": words.ACCOUNTS.get(line.account, line.account),
        "url": reverse(name, args=[line.reference]) if name else "",
    }  # fmt: skip


def _chips(filters: StatementFilters, balances: dict[str, int]) -> list[dict[str, Any]]:
    """All accounts, and those that have something or are chosen."""
    chosen = filters.chip_value
    wanted = {"", "pending", "available", chosen, *(name for name, minor in balances.items() if minor)}
    names = [name for name in words.ACCOUNTS if name in wanted]
    labels = {str(words.ACCOUNTS[name]) for name in names}
    return [chip for chip in filters.chips() if str(chip["label"]) in labels]


def _periods(request: HttpRequest, first: dt.date, last: dt.date) -> list[dict[str, Any]]:
    """Short cuts to the usual periods."""
    today = timezone.localdate()
    month = today.replace(day=1)
    before = (month - dt.timedelta(days=1)).replace(day=1)
    offered: list[tuple[Sentence, dt.date, dt.date]] = [
        (_("Today"), today, today),
        (_("7 days"), today - dt.timedelta(days=6), today),
        (_("This month"), month, today),
        (_("Last month"), before, month - dt.timedelta(days=1)),
    ]
    params = request.GET.copy()
    params.pop("page", None)
    items = []
    for label, start, end in offered:
        params["since"], params["until"] = start.isoformat(), end.isoformat()
        items.append({"label": label, "url": f"?{params.urlencode()}", "active": (first, last) == (start, end)})
    return items


_COLUMNS: tuple[Column, ...] = (
    (gettext_lazy("Time"), lambda line: local_time(line.event_at)),
    (gettext_lazy("What"), lambda line: words.KINDS.get(line.kind, line.kind)),
    (gettext_lazy("Account"), lambda line: words.ACCOUNTS.get(line.account, line.account)),
    (gettext_lazy("Reference"), lambda line: line.reference),
    (gettext_lazy("Transfer"), lambda line: line.transfer),
    (gettext_lazy("Currency"), lambda line: line.currency),
    (gettext_lazy("Amount"), lambda line: money.minor_to_decimal(line.amount_minor, line.currency)),
    (gettext_lazy("Balance after"), lambda line: money.minor_to_decimal(line.balance_minor, line.currency)),
)
