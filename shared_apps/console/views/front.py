"""The overview and the search over everything."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from kameng.accounts import catalogue
from kameng.accounts.access import allowed, may
from kameng.lib import clock, money
from shared_apps.console import lists, words
from shared_apps.console.page import page
from shared_apps.console.selectors import books, channels, overview, shelves, system, trade
from shared_apps.console.views.orders import kind_words
from shared_apps.library import selectors as library
from shared_apps.library.names import localized
from shared_apps.receipts import selectors as receipts
from tenants import selectors as tenants

LATEST = 10
LOOKED_AT = 400  # Records that are gathered into the latest changes: an import alone writes hundreds.
COMINGS = ("accounts.log_in", "accounts.log_out")  # Who came and went is in the trail; it changed nothing.
FOUND = 8


@require_GET
@allowed(catalogue.OWN)
def home(request: HttpRequest) -> HttpResponse:
    """How is today beside yesterday, what needs me, what changed."""
    now = clock.utc_now()
    records = system.audit().exclude(action__in=COMINGS).defer("details")
    changes = _gathered(list(records[:LOOKED_AT])) if may(request, catalogue.AUDIT_LOOK) else []
    figures = overview.today_beside_yesterday(now)
    days = overview.last_days(now)
    return page(
        request, "console/overview.html", here="overview", heading=_("Overview"), figures=figures, needs=_needs(now),
        steps=_steps(), changes=changes, chart=_chart(figures, days),
        by_day=list(zip(days, figures["gmv"].days, figures["orders"].days, strict=True))[::-1],
    )  # fmt: skip


def _steps() -> list[dict[str, Any]]:
    """What a new main station does first, with what is done; nothing once all of it is."""
    done = overview.steps_done()
    if all(done.values()):
        return []
    asked = [
        ("plans", "plan_new", _("Make a plan"), _("What a shop pays, and which supply prices it gets.")),
        ("products", "imports", _("Fill the library"), _("Import a file of products, or add them by hand.")),
        ("stock", "code_import", _("Bring in codes"), _("Paste them or send a file; they are encrypted at once.")),
        ("merchants", "merchant_new", _("Add a merchant account"), _("So that buyers can pay.")),
        ("substations", "", _("Open the first shop"), _("Anybody can, on the public site.")),
    ]
    return [
        {
            "title": title, "text": text, "state": "done" if done[name] else "todo",
            "url": reverse(f"console:{address}") if address else reverse("tenants:signup"),
        }
        for name, address, title, text in asked
    ]  # fmt: skip


def _gathered(records: list[Any]) -> list[dict[str, Any]]:
    """The latest deeds, newest first; the same deed of the same person on one day is one line, with how many they were."""
    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for record in records:
        key = (record.action, record.actor_label, timezone.localtime(record.at).date())
        if key in lines:
            lines[key]["count"] += 1
            lines[key]["url"] = f"{reverse('console:audit')}?action={record.action}"
        elif len(lines) < LATEST:
            lines[key] = {
                "by": record.actor_label, "at": record.at, "count": 1, "target": record.target,
                "words": words.action_words(record.action), "icon": words.action_icon(record.action),
                "url": words.address_of(record.action, record.target),
            }  # fmt: skip
    return list(lines.values())


def _chart(figures: dict[str, overview.Figure], days: list[date]) -> dict[str, Any]:
    """Turnover and number of orders of the last days, for ECharts."""
    sold = [str(money.minor_to_decimal(minor, settings.CURRENCY)) for minor in figures["gmv"].days]
    return {
        "legend": {"data": [_("Sold"), _("Orders paid")], "top": 0},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "category", "data": [f"{day:%m-%d}" for day in days]},
        "yAxis": [{"type": "value"}, {"type": "value", "minInterval": 1, "splitLine": {"show": False}}],
        "series": [
            {"name": _("Sold"), "type": "bar", "data": sold},
            {"name": _("Orders paid"), "type": "line", "yAxisIndex": 1, "data": list(figures["orders"].days)},
        ],
    }


def _needs(now: Any) -> list[dict[str, Any]]:
    """What waits for a person, the gravest first; nothing that is zero."""
    waiting = overview.waiting()
    levels = shelves.level_counts()
    behind = {feed.substation_id for feed in overview.feed_states(now) if feed.state in ("BEHIND", "FAILED")}
    asked = [
        (waiting["cases"], _("Payment cases to settle"), "scale", "danger", _of("cases", "OPEN")),
        (
            waiting["upgrades"], _("Shops that stayed at their old version"), "shop", "danger",
            f"{reverse('console:substations')}?upgrade=FAILED",
        ),
        (waiting["events"], _("Callbacks that failed"), "webhook", "danger", _of("inbox", "FAILED")),
        (waiting["jobs"], _("Background jobs that gave up"), "clock", "danger", _of("jobs", "FAILED")),
        (levels.get("OUT", 0), _("SKUs sold out"), "box", "danger", _of("levels", "OUT")),
        (levels.get("LOW", 0), _("SKUs low on stock"), "box", "warning", _of("levels", "LOW")),
        (len(behind), _("Shops behind with their sync"), "sync", "warning", _of("sync", "BEHIND")),
    ]  # fmt: skip
    return [
        {"count": count, "label": label, "icon": icon, "tone": tone, "url": url}
        for count, label, icon, tone, url in asked
        if count
    ]


def _of(name: str, state: str) -> str:
    return f"{reverse(f'console:{name}')}?state={state}"


@require_GET
@allowed(catalogue.OWN)
def search(request: HttpRequest) -> HttpResponseBase:
    """One field for everything. What names exactly one thing by its id leads there at once."""
    text = lists.typed(request, "q")
    direct = _direct(text)
    if direct:
        return redirect(direct)
    groups = [group for group in _groups(request, text) if group["rows"]] if text else []
    return page(request, "console/search.html", here="", heading=_("Search"), text=text, groups=groups)


def _direct(text: str) -> str:
    if text.startswith("trf_") and books.transfer_id_of(text):
        return reverse("console:transfer", args=[text])
    if text.startswith("case_") and receipts.case(text):
        return reverse("console:case", args=[text])
    if text.startswith("sub_") and tenants.substations().filter(public_id=text).exists():
        return reverse("console:substation", args=[text])
    if text.startswith("bat_") and shelves.batches().filter(public_id=text).exists():
        return reverse("console:batch", args=[text])
    if text.startswith("acc_") and channels.merchant(text):
        return reverse("console:merchant", args=[text])
    if text.startswith("imp_") and library.import_runs().filter(public_id=text).exists():
        return reverse("console:import_run", args=[text])
    return ""


def _groups(request: HttpRequest, text: str) -> list[dict[str, Any]]:
    """What is found, by kind: of those kinds alone whose lists the reader may open."""
    kinds = (
        (catalogue.SALES_LOOK, _orders), (catalogue.CASES_LOOK, _cases), (catalogue.NETWORK_LOOK, _substations),
        (catalogue.LIBRARY_LOOK, _goods), (catalogue.STOCK_LOOK, _batches), (catalogue.STATION_PEOPLE_LOOK, _people),
        (catalogue.MERCHANTS_LOOK, _merchants), (catalogue.LEDGER_LOOK, _books),
    )  # fmt: skip
    return [group for look, find in kinds if may(request, look) for group in find(text)]


def _orders(text: str) -> list[dict[str, Any]]:
    shops = tenants.shop_names()
    found_orders = [row for row in trade.orders(number=text).order_by("-pk")[:FOUND] if row.substation_id in shops]
    return [
        _group(
            _("Orders"), reverse("console:orders"), text,
            [
                (row.order_number, shops[row.substation_id].name, words.ORDER_STATES.get(row.state, row.state),
                 reverse("console:order", args=[shops[row.substation_id].slug, row.order_number]))
                for row in found_orders
            ],
        ),
    ]  # fmt: skip


def _cases(text: str) -> list[dict[str, Any]]:
    return [
        _group(
            _("Payment cases"), reverse("console:cases"), text,
            [
                (row.get_kind_display(), row.order_number or row.public_id,
                 f"{words.money_words(row.amount_minor, row.currency)} · {row.get_state_display()}",
                 reverse("console:case", args=[row.public_id]))
                for row in receipts.cases(text=text).order_by("-pk")[:FOUND]
            ],
        ),
    ]  # fmt: skip


def _substations(text: str) -> list[dict[str, Any]]:
    return [
        _group(
            _("Substations"), reverse("console:substations"), text,
            [
                (row.name, row.host, row.get_state_display(), reverse("console:substation", args=[row.public_id]))
                for row in tenants.substations(query=text)[:FOUND]
            ],
        ),
    ]  # fmt: skip


def _goods(text: str) -> list[dict[str, Any]]:
    return [
        _group(
            _("Products"), reverse("console:products"), text,
            [
                (row.name, row.slug, row.category.name, reverse("console:product", args=[row.slug]))
                for row in library.products(query=text)[:FOUND]
            ],
        ),
        _group(
            _("SKUs"), reverse("console:levels"), text,
            [
                (f"{row.product.name} · {row.name}", row.code, row.get_stock_policy_display(),
                 reverse("console:sku", args=[row.code]))
                for row in library.skus(query=text)[:FOUND]
            ],
        ),
        _group(
            _("Brands"), reverse("console:brands"), text,
            [
                (row.name, row.slug, "", reverse("console:brand", args=[row.slug]))
                for row in library.brands().filter(
                    Q(name_zh__icontains=text) | Q(name_en__icontains=text) | Q(slug__icontains=text)
                )[:FOUND]
            ],
        ),
    ]  # fmt: skip


def _batches(text: str) -> list[dict[str, Any]]:
    return [
        _group(
            _("Code batches"), reverse("console:batches"), text,
            [
                (f"{localized(row, 'product_name')} · {localized(row, 'sku_name')}", row.public_id, row.source,
                 reverse("console:batch", args=[row.public_id]))
                for row in shelves.batches(query=text).order_by("-pk")[:FOUND]
            ],
        ),
    ]  # fmt: skip


def _people(text: str) -> list[dict[str, Any]]:
    return [
        _group(
            _("People"), reverse("console:people"), text,
            [
                (row.name or row.email, row.email, row.role_label, f"{reverse('console:people')}?q={quote(row.email)}")
                for row in system.people(query=text)[:FOUND]
            ],
        ),
    ]  # fmt: skip


def _merchants(text: str) -> list[dict[str, Any]]:
    return [
        _group(
            _("Merchant accounts"), reverse("console:merchants"), text,
            [
                (row.name, row.account_ref, words.channel_words(row.channel), reverse("console:merchant", args=[row.public_id]))
                for row in channels.merchants(query=text)[:FOUND]
            ],
        ),
    ]  # fmt: skip


def _books(text: str) -> list[dict[str, Any]]:
    return [
        _group(
            _("Transfers"), reverse("console:transfers"), text,
            [
                (row.public_id, row.reference, kind_words(row.kind), reverse("console:transfer", args=[row.public_id]))
                for row in books.transfers(query=text).order_by("-pk")[:FOUND]
            ],
        ),
        _group(
            _("Ledger accounts"), reverse("console:accounts"), text,
            [
                (row.code, words.account_words(row.code), row.currency, reverse("console:account", args=[row.code]))
                for row in books.accounts(query=text)[:FOUND]
            ],
        ),
    ]  # fmt: skip


def _group(label: str, list_url: str, text: str, rows: list[tuple[Any, Any, Any, str]]) -> dict[str, Any]:
    return {"label": label, "url": list_url, "text": text, "rows": rows, "full": len(rows) == FOUND}
