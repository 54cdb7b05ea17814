"""The ledger explorer: from an account or a sale down to its legs and its block."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from kameng.accounts import catalogue
from kameng.accounts.access import allowed
from kameng.lib.money import minor_to_decimal
from kameng.ui.templatetags.ui import bps
from shared_apps.console import lists, words
from shared_apps.console.forms.money import AccountFilters, StatementFilters, TransferFilters
from shared_apps.console.page import page
from shared_apps.console.selectors import books
from shared_apps.console.views.orders import kind_words, waterfall
from shared_apps.console.views.stock import day_start
from shared_apps.ledger import selectors as ledger
from shared_apps.ledger import verification
from shared_apps.ledger.states import Kind
from tenants import selectors as tenants

PERIOD = timedelta(days=29)
ACCOUNT_SORTS = {"code": "code", "class": "account_class", "balance": "own_minor", "opened": "created_at"}
TRANSFER_SORTS = {"event": "event_at", "recorded": "pk", "kind": "kind"}
TRANSFER_EXPORT: list[lists.Column] = [
    (gettext_lazy("Transfer"), lambda row: row.public_id),
    (gettext_lazy("Kind"), lambda row: kind_words(row.kind)),
    (gettext_lazy("Reference"), lambda row: row.reference),
    (gettext_lazy("Happened"), lambda row: row.event_at),
    (gettext_lazy("Recorded"), lambda row: row.recorded_at),
    (gettext_lazy("Split rule"), lambda row: row.split_rule_version),
]
LINE_EXPORT: list[lists.Column] = [
    (gettext_lazy("Happened"), lambda line: line.event_at),
    (gettext_lazy("Kind"), lambda line: kind_words(line.kind)),
    (gettext_lazy("Reference"), lambda line: line.reference),
    (gettext_lazy("Transfer"), lambda line: line.transfer),
]


def _tabs(here: str) -> list[dict[str, Any]]:
    pages = (
        ("accounts", _("Accounts")), ("transfers", _("Transfers")), ("trial_balance", _("Trial balance")),
        ("chain", _("Proof")),
    )  # fmt: skip
    return [{"label": label, "url": reverse(f"console:{name}"), "active": name == here} for name, label in pages]


@require_GET
@allowed(catalogue.LEDGER_LOOK)
def accounts(request: HttpRequest) -> HttpResponseBase:
    """Accounts with their balances; a transfer's, order's or receipt's id in the search leads to what it names."""
    filters = AccountFilters(request.GET)
    if filters.query.startswith("trf_") and books.transfer_id_of(filters.query):
        return redirect("console:transfer", filters.query)
    if filters.query and books.transfers(query=filters.query).exists():
        return redirect(f"{reverse('console:transfers')}?q={filters.query}")
    rows = books.accounts(query=filters.query, account_class=filters.value("kind"), substation_id=filters.substation_id)
    rows = lists.ordered(request, rows, ACCOUNT_SORTS, "code")
    shops = tenants.shop_names()
    if lists.wants_export(request):
        return lists.export(request, "ledger-accounts", _account_columns(shops), rows)
    shown = lists.paged(request, rows)
    for row in shown:
        row.words = words.account_words(row.code)
        row.shop = shops.get(row.substation_id)
    return page(
        request, "console/accounts.html", here="accounts", heading=_("Ledger"), tabs=_tabs("accounts"), filters=filters,
        chips=filters.chips(), rows=shown,
    )  # fmt: skip


def _account_columns(shops: dict[int, tenants.ShopName]) -> list[lists.Column]:
    return [
        (gettext_lazy("Account"), lambda row: row.code),
        (gettext_lazy("What it is"), lambda row: words.account_words(row.code)),
        (gettext_lazy("Shop"), lambda row: shops[row.substation_id].name if row.substation_id in shops else ""),
        (gettext_lazy("Class"), lambda row: row.get_account_class_display()),
        (gettext_lazy("Currency"), lambda row: row.currency),
        (gettext_lazy("Balance"), lambda row: minor_to_decimal(row.own_minor, row.currency)),
    ]


@require_GET
@allowed(catalogue.LEDGER_LOOK)
def account(request: HttpRequest, code: str) -> HttpResponseBase:
    """An account's statement over a period, with opening and closing balance; a month when none is given."""
    row = books.account(code)
    filters = StatementFilters(request.GET)
    last = filters.value("until") or timezone.localdate()
    first = filters.value("since") or last - PERIOD
    first, last = min(first, last), max(first, last)
    if lists.wants_export(request):
        return _statement_file(request, row, first, last)
    wished = request.GET.get("page", "1")
    number = int(wished) if wished.isdecimal() and 0 < int(wished) < 10**6 else 1
    offset = (number - 1) * lists.PER_PAGE
    shown = books.statement(row, first_day=first, last_day=last, offset=offset, limit=lists.PER_PAGE)
    pages = Paginator(range(shown.count), lists.PER_PAGE).get_page(number)
    shops = tenants.shop_names({line.substation_id for line in shown.lines if line.substation_id})
    lines = [(line, kind_words(line.kind), _reference_url(line, shops)) for line in shown.lines]
    days = list(books.days(row, first_day=first, last_day=last))
    way = books.sign(row.account_class)
    return page(
        request, "console/account.html", here="accounts", heading=row.code, row=row, lines=lines, pages=pages,
        words=words.account_words(row.code), statement=shown, first=first, last=last,
        change_minor=shown.closing_minor - shown.opening_minor,
        spark=[day.closing_minor * way for day in days], filters=filters,
        substation=_shop_of(row.substation_id), tabs=_account_tabs(code, "account"),
        crumbs=((_("Ledger"), reverse("console:accounts")),),
    )  # fmt: skip


def _reference_url(line: books.Line, shops: dict[int, tenants.ShopName]) -> str:
    """The page of the order that a line belongs to, or ""."""
    shop = shops.get(line.substation_id or 0)
    if shop is None or line.reference_type != "order":
        return ""
    return reverse("console:order", args=[shop.slug, line.reference])


def _account_tabs(code: str, here: str) -> list[dict[str, Any]]:
    pages = (("account", _("Lines")), ("account_days", _("By day")))
    return [
        {"label": label, "url": reverse(f"console:{name}", args=[code]), "active": name == here}
        for name, label in pages
    ]


@require_GET
@allowed(catalogue.LEDGER_LOOK)
def account_days(request: HttpRequest, code: str) -> HttpResponseBase:
    """The days on which something moved, as the roll-up keeps them; each leads to its lines."""
    row = books.account(code)
    filters = StatementFilters(request.GET)
    way = books.sign(row.account_class)
    found = books.days(row, first_day=filters.value("since") or None, last_day=filters.value("until") or None)
    if lists.wants_export(request):
        columns: list[lists.Column] = [
            (gettext_lazy("Day"), lambda day: day.day),
            *[(label, lambda day, name=name: minor_to_decimal(_day(day, way)[name], row.currency)) for name, label in DAY_PARTS],
        ]  # fmt: skip
        return lists.export(request, f"days-{row.code.replace(':', '-')}", columns, found.reverse())
    shown: Any = lists.paged(request, found.reverse())
    shown.object_list = [(day.day, _day(day, way)) for day in shown]
    return page(
        request, "console/account_days.html", here="accounts", heading=row.code, row=row, rows=shown, filters=filters,
        words=words.account_words(row.code), tabs=_account_tabs(code, "account_days"), control=books.control(),
        substation=_shop_of(row.substation_id), crumbs=((_("Ledger"), reverse("console:accounts")),),
    )  # fmt: skip


DAY_PARTS = (
    ("opening", gettext_lazy("Opening balance")), ("up", gettext_lazy("In")), ("down", gettext_lazy("Out")),
    ("closing", gettext_lazy("Closing balance")),
)  # fmt: skip


def _day(day: Any, way: int) -> dict[str, int]:
    """A rolled-up day in the account's own sign: opening + up − down = closing."""
    up, down = (day.debits_minor, day.credits_minor) if way > 0 else (day.credits_minor, day.debits_minor)
    return {"opening": day.opening_minor * way, "up": up, "down": down, "closing": day.closing_minor * way}


def _shop_of(substation_id: int | None) -> tenants.ShopName | None:
    return tenants.shop_names([substation_id]).get(substation_id) if substation_id else None


def _statement_file(request: HttpRequest, row: Any, first: date, last: date) -> HttpResponseBase:
    shown = books.statement(row, first_day=first, last_day=last, limit=lists.EXPORT_ROWS + 1)
    columns: list[lists.Column] = [
        *LINE_EXPORT,
        (gettext_lazy("Amount"), lambda line: minor_to_decimal(line.own_minor, row.currency)),
        (gettext_lazy("Balance after"), lambda line: minor_to_decimal(line.after_minor, row.currency)),
    ]
    name = f"statement-{row.code.replace(':', '-')}-{first}-{last}"
    return lists.export(request, name, columns, list(shown.lines))


@require_GET
@allowed(catalogue.LEDGER_LOOK)
def transfers(request: HttpRequest) -> HttpResponseBase:
    filters = TransferFilters(request.GET)
    rows = books.transfers(
        query=filters.query, kind=filters.value("kind"), substation_id=filters.substation_id,
        since=day_start(filters.value("since")), until=day_start(filters.value("until"), 1),
    )  # fmt: skip
    rows = lists.ordered(request, rows, TRANSFER_SORTS, "-recorded")
    if lists.wants_export(request):
        return lists.export(request, "transfers", TRANSFER_EXPORT, rows)
    shown = lists.paged(request, rows)
    legs = books.legs([row.pk for row in shown])
    shops = tenants.shop_names({row.substation_id for row in shown if row.substation_id})
    for row in shown:
        row.kind_words = kind_words(row.kind)
        row.gross_minor = sum(leg.amount_minor for leg in legs[row.pk] if leg.amount_minor > 0)
        row.leg_count = len(legs[row.pk])
        row.currency = legs[row.pk][0].currency
        row.shop = shops.get(row.substation_id)
    return page(
        request, "console/transfers.html", here="accounts", heading=_("Ledger"), tabs=_tabs("transfers"),
        filters=filters, chips=filters.chips(), rows=shown,
    )  # fmt: skip


@require_GET
@allowed(catalogue.LEDGER_LOOK)
def transfer(request: HttpRequest, public_id: str) -> HttpResponse:
    """The legs, their sum, where the money went, what it belongs to, and its proof."""
    row: Any = books.transfer(public_id)
    legs = books.legs([row.pk])[row.pk]
    earlier, later = books.related_transfers(row)
    substation = _shop_of(row.substation_id)
    sums: dict[str, dict[str, int]] = {}
    for leg in legs:
        of = sums.setdefault(leg.currency, {"debit": 0, "credit": 0})
        of["debit"] += leg.debit_minor or 0
        of["credit"] += leg.credit_minor or 0
    return page(
        request, "console/transfer.html", here="accounts", heading=row.public_id, row=row, sums=sums,
        kind_words=kind_words(row.kind), substation=substation,
        legs=[(leg, words.account_words(leg.code)) for leg in legs],
        order_url=reverse("console:order", args=[substation.slug, row.reference])
        if substation and row.reference_type == "order" else "",
        earlier=earlier, later=[(one, kind_words(one.kind)) for one in later], proof=books.proof(row),
        parts=waterfall(legs) if row.kind == Kind.SALE else [],
        total_minor=sum(leg.debit_minor or 0 for leg in legs), currency=legs[0].currency, memo=_memo(row.memo),
        crumbs=((_("Ledger"), reverse("console:accounts")), (_("Transfers"), reverse("console:transfers"))),
    )  # fmt: skip


def _memo(memo: dict[str, Any]) -> list[tuple[Any, Any, str]]:
    """What the poster noted with a transfer: label, value, address; a name without words stays as it was stored."""
    out: list[tuple[Any, Any, str]] = []
    for name, value in memo.items():
        if name == "platform_bps":
            out.append((_("Platform fee"), bps(value), ""))
        elif name == "refund":
            out.append((_("Refund"), value, ""))
        else:
            out.append((name, value, ""))
    return out


@require_GET
@allowed(catalogue.LEDGER_LOOK)
def trial_balance(request: HttpRequest) -> HttpResponseBase:
    lines: list[Any] = books.trial_balance()
    if lists.wants_export(request):
        return lists.export(
            request, "trial-balance",
            [
                (gettext_lazy("Class"), lambda line: line.class_words),
                (gettext_lazy("Currency"), lambda line: line.currency),
                (gettext_lazy("Accounts"), lambda line: line.accounts),
                (gettext_lazy("Debit"), lambda line: minor_to_decimal(line.debit_minor, line.currency)),
                (gettext_lazy("Credit"), lambda line: minor_to_decimal(line.credit_minor, line.currency)),
            ],
            lines,
        )  # fmt: skip
    currencies = []
    for currency in dict.fromkeys(line.currency for line in lines):
        own = [line for line in lines if line.currency == currency]
        debit, credit = sum(line.debit_minor for line in own), sum(line.credit_minor for line in own)
        currencies.append(
            {"currency": currency, "lines": own, "debit": debit, "credit": credit, "even": debit == credit}
        )
    return page(
        request, "console/trial_balance.html", here="accounts", heading=_("Ledger"), tabs=_tabs("trial_balance"),
        currencies=currencies, filters=None,
    )  # fmt: skip


@require_GET
@allowed(catalogue.LEDGER_LOOK)
def chain(request: HttpRequest) -> HttpResponse:
    """The sealed blocks; ?check=1 recomputes them all from the tables. Reading only."""
    verdict = verification.verify() if request.GET.get("check") else None
    rows = lists.paged(request, books.blocks())
    for row in rows:
        row.hash_text = bytes(row.block_hash).hex()
    return page(
        request, "console/chain.html", here="accounts", heading=_("Ledger"), tabs=_tabs("chain"), verdict=verdict,
        rows=rows, control=books.control(), lag=ledger.horizon_lag(),
    )  # fmt: skip


@require_GET
@allowed(catalogue.LEDGER_LOOK)
def block(request: HttpRequest, height: int) -> HttpResponseBase:
    """One sealed block: its hash and its transfers, each as it was sealed beside what the tables give now."""
    row: Any = books.block(height)
    if row is None:
        raise Http404(str(height))
    pages = lists.paged(request, range(row.leaf_count))
    offset = (pages.number - 1) * lists.PER_PAGE
    leaves = [(leaf, kind_words(leaf.kind)) for leaf in books.leaves(row, offset=offset, limit=lists.PER_PAGE)]
    return page(
        request, "console/block.html", here="accounts", heading=_("Block %(height)s") % {"height": height}, row=row,
        hash_text=bytes(row.block_hash).hex(), previous_text=bytes(row.previous_hash).hex(), leaves=leaves, pages=pages,
        hash_now=books.block_hash_now(row), previous=books.block(height - 1), following=books.block(height + 1),
        crumbs=((_("Ledger"), reverse("console:accounts")), (_("Proof"), reverse("console:chain"))),
    )  # fmt: skip
