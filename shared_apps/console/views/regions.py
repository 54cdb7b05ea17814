"""Regions: the map, what is free and who holds the rest, giving and ending a city, and who asked about one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import catalogue
from kameng.accounts.access import allowed, may
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import actor
from shared_apps.console import lists
from shared_apps.console.forms.regions import GrantFilters, GrantForm, LeadFilters, RegionFilters
from shared_apps.console.page import page, refuse
from shared_apps.console.tiles import TILES
from shared_apps.console.views.stock import day_start
from shared_apps.regions import selectors, services
from shared_apps.regions.errors import LeadRefused
from shared_apps.regions.models import Region
from shared_apps.regions.states import WAITING, LeadKind, Level
from tenants import selectors as tenants

HERE = "regions"
SHOPS_FOUND = 8
LEAD_SORTS = {"created": "created_at", "state": "state"}
GRANT_SORTS = {"starts": "starts_at", "ends": "ends_at", "region": "region__code", "shop": "substation__name"}
GRANT_EXPORT: list[lists.Column] = [
    (gettext_lazy("Id"), lambda row: row.public_id),
    (pgettext_lazy("identifier", "Code"), lambda row: row.region.code),
    (gettext_lazy("Region"), lambda row: row.region.label),
    (gettext_lazy("Shop"), lambda row: row.substation.name),
    (gettext_lazy("Address"), lambda row: row.substation.host),
    (gettext_lazy("From"), lambda row: row.starts_at),
    (pgettext_lazy("region", "Until"), lambda row: row.last_at),
    (gettext_lazy("Days to answer"), lambda row: row.answer_days),
    (gettext_lazy("Note"), lambda row: row.note),
    (gettext_lazy("By"), lambda row: row.granted_by),
    (gettext_lazy("Ended by"), lambda row: row.ended_by),
]
LEAD_EXPORT: list[lists.Column] = [
    (gettext_lazy("Id"), lambda row: row.public_id),
    (gettext_lazy("Kind"), lambda row: row.get_kind_display()),
    (gettext_lazy("State"), lambda row: row.get_state_display()),
    (gettext_lazy("Region"), lambda row: row.region.label),
    (pgettext_lazy("person", "Name"), lambda row: selectors.contact(row).name),
    (gettext_lazy("Phone"), lambda row: selectors.contact(row).phone),
    (gettext_lazy("Mail"), lambda row: selectors.contact(row).email),
    (gettext_lazy("Message"), lambda row: row.message),
    (gettext_lazy("Shop"), lambda row: row.substation.host if row.substation else ""),
    (gettext_lazy("Offered to"), lambda row: row.grant.substation.name if row.grant else ""),
    (gettext_lazy("Came"), lambda row: row.created_at),
    (gettext_lazy("Answered"), lambda row: row.answered_at),
]


def _tabs(request: HttpRequest, here: str) -> list[dict[str, Any]]:
    """The pages that the reader may open."""
    pages: list[tuple[str, str, Any]] = []
    if may(request, catalogue.REGIONS_LOOK):
        pages += [
            ("regions", _("China"), ""),
            ("regions_elsewhere", _("Elsewhere"), ""),
            ("region_grants", _("Grants"), ""),
        ]
    if may(request, catalogue.LEADS_LOOK):
        pages.append(("leads", _("Leads"), selectors.waiting_count() or ""))
    return [
        {"label": label, "url": reverse(f"console:{name}"), "active": name == here, "count": count}
        for name, label, count in pages
    ]


# -- Looking.


@require_GET
@allowed(catalogue.REGIONS_LOOK)
def regions(request: HttpRequest) -> HttpResponseBase:
    """The map of China by province; while somebody searches, what is found."""
    now, filters = clock.utc_now(), RegionFilters(request.GET)
    if filters.query:
        return _found(request, filters, now)
    tiles = [_tile(share) for share in selectors.provinces(now)]
    return page(
        request, "console/regions.html", here=HERE, heading=_("Regions"), tabs=_tabs(request, "regions"), filters=filters,
        tiles=sorted(tiles, key=lambda tile: (tile["row"], tile["column"])), totals=selectors.totals(now),
        soon=list(selectors.grants(when="now", at=now).order_by("ends_at", "pk")[:5]), hide_chips=True,
    )  # fmt: skip


def _tile(share: selectors.Share) -> dict[str, Any]:
    chinese, letters, column, row = TILES[share.region.code[:2]]
    english = share.region.name == share.region.name_en
    name = share.region.name_en if english else chinese
    return {"share": share, "name": name, "short": letters if english else chinese, "column": column, "row": row}


def _found(request: HttpRequest, filters: RegionFilters, now: datetime) -> HttpResponse:
    rows = selectors.regions(query=filters.query, held=_held(filters), at=now).exclude(level=Level.COUNTRY)
    shown = lists.paged(request, rows.order_by("-holdable", "code"))
    return page(
        request, "console/regions.html", here=HERE, heading=_("Regions"), tabs=_tabs(request, "regions"), filters=filters,
        chips=filters.chips(), rows=shown, searching=True,
    )  # fmt: skip


def _held(filters: RegionFilters) -> bool | None:
    return {"HELD": True, "FREE": False}.get(filters.value("state"))


@require_GET
@allowed(catalogue.REGIONS_LOOK)
def elsewhere(request: HttpRequest) -> HttpResponseBase:
    """The countries of the general tree, those of which something is held first."""
    now, filters = clock.utc_now(), RegionFilters(request.GET)
    word = filters.query.casefold()
    shares = [
        share for share in selectors.countries(now)
        if not word or word in f"{share.region.name_zh} {share.region.name_en} {share.region.code} {share.region.search}".casefold()
    ]  # fmt: skip
    shares.sort(key=lambda share: -share.held)
    return page(
        request, "console/regions_elsewhere.html", here=HERE, heading=_("Regions"), tabs=_tabs(request, "regions_elsewhere"),
        filters=filters, rows=lists.paged(request, shares),
    )  # fmt: skip


@require_GET
@allowed(catalogue.REGIONS_LOOK)
def region(request: HttpRequest, code: str) -> HttpResponse:
    return region_page(request, selectors.region(code))


def region_page(request: HttpRequest, row: Region, status: int = 200, form: GrantForm | None = None) -> HttpResponse:
    """A region: what lies in it, who holds what of it; of one that can be held its history, and the form that gives it."""
    now, filters = clock.utc_now(), RegionFilters(request.GET)
    inner = selectors.regions(query=filters.query, parent=row.code, at=now)
    holdable = inner.filter(holdable=True)
    counts = {
        "HELD": holdable.filter(selectors.holding(now)).count(),
        "FREE": holdable.exclude(selectors.holding(now)).count(),
    }
    held = _held(filters)
    rows = inner if held is None else selectors.regions(query=filters.query, parent=row.code, held=held, at=now)
    return page(
        request, "console/region.html", here=HERE, heading=row.name, status=status, crumbs=_crumbs(row), row=row,
        filters=filters, chips=filters.chips(counts), rows=lists.paged(request, rows, 100), counties=_counties(row),
        holder=selectors.holder(row.pk, now), history=list(selectors.grants(region_id=row.pk)), now=now,
        form=form or GrantForm(initial=_a_year(now)), form_open=form is not None,
    )  # fmt: skip


def _counties(row: Region) -> list[Region]:
    return list(row.children.filter(level=Level.COUNTY)) if row.level == Level.CITY else []


def _crumbs(row: Region) -> tuple[tuple[str, str], ...]:
    above, trail = row.parent, []
    while above is not None and above.code != selectors.CHINA:
        trail.append((above.name, reverse("console:region", args=[above.code])))
        above = above.parent
    top = reverse("console:regions" if above is not None else "console:regions_elsewhere")
    return ((_("Regions"), top), *reversed(trail))


def _a_year(now: datetime) -> dict[str, Any]:
    today = timezone.localtime(now).date()
    return {"starts": today, "ends": today + timedelta(days=364)}


@require_GET
@allowed(catalogue.REGIONS_LOOK)
def grants(request: HttpRequest) -> HttpResponseBase:
    """Every grant that there is or was."""
    now, filters = clock.utc_now(), GrantFilters(request.GET)
    rows = selectors.grants(query=filters.query, when=filters.value("when"), at=now)
    rows = lists.ordered(request, rows, GRANT_SORTS, "-starts")
    if lists.wants_export(request):
        return lists.export(request, "region-grants", GRANT_EXPORT, rows)
    return page(
        request, "console/region_grants.html", here=HERE, heading=_("Regions"), tabs=_tabs(request, "region_grants"),
        filters=filters, chips=filters.chips(), rows=lists.paged(request, rows), now=now,
    )  # fmt: skip


@require_GET
@allowed(catalogue.LEADS_LOOK)
def leads(request: HttpRequest) -> HttpResponseBase:
    """Who opened a shop in a city, or asked about one, and what became of it."""
    filters = LeadFilters(request.GET)
    rows = selectors.leads(query=filters.query, state=filters.value("state"), kind=filters.value("kind"))
    rows = lists.ordered(request, rows, LEAD_SORTS, "-created")
    if lists.wants_export(request):
        return lists.export(request, "leads", LEAD_EXPORT, rows)
    shown = lists.paged(request, rows)
    for row in shown:
        row.contact = selectors.contact(row)
    counts = selectors.lead_counts()
    chips = filters.chips(counts)
    chips[0]["count"] = sum(count for state, count in counts.items() if state != "WAITING")
    return page(
        request, "console/leads.html", here=HERE, heading=_("Regions"), tabs=_tabs(request, "leads"), filters=filters,
        chips=chips, rows=shown,
    )  # fmt: skip


@require_GET
@allowed(catalogue.LEADS_LOOK)
def lead(request: HttpRequest, public_id: str) -> HttpResponse:
    """One lead: how to reach them, whom it was offered to, and what can be done."""
    row, now = selectors.lead(public_id), clock.utc_now()
    holder = selectors.holder(row.region_id, now)
    return page(
        request, "console/lead.html", here=HERE, heading=row.who, row=row, contact=selectors.contact(row), holder=holder,
        waiting=row.state in WAITING, may_offer=row.state in WAITING and holder is not None,
        may_forget=row.kind == LeadKind.ASKED and row.forgotten_at is None,
        crumbs=((_("Regions"), reverse("console:regions")), (_("Leads"), reverse("console:leads"))),
    )  # fmt: skip


@require_GET
@allowed(catalogue.REGIONS_MANAGE)
def shops(request: HttpRequest) -> HttpResponse:
    """Shops that may be meant, while somebody types into the form of a grant."""
    typed = "".join(char for char in request.GET.get("q", "")[:100] if char.isprintable())
    rows = tenants.substations(query=typed).filter(state__in=services.GRANTABLE)
    found = [{"value": row.slug, "note": row.name} for row in rows.order_by("name")[:SHOPS_FOUND]]
    return JsonResponse({"found": found})


# -- Deeds.


@require_POST
@allowed(catalogue.REGIONS_MANAGE)
def grant(request: HttpRequest, code: str) -> HttpResponse:
    """Give a city to a shop."""
    row, form = selectors.region(code), GrantForm(request.POST)
    if form.is_valid():
        given, now = form.cleaned_data, clock.utc_now()
        try:
            starts, ends = day_start(given["starts"]), day_start(given["ends"], 1)
            assert starts is not None
            assert ends is not None
            made = services.make_grant(
                region_code=row.code, substation_id=tenants.substation(given["substation"].strip()).pk,
                starts_at=starts, ends_at=ends, answer_days=given["answer_days"], note=given["note"],
                by=actor(request), now=now,
            )  # fmt: skip
        except OverflowError:  # The last day of the calendar has no day after it.
            form.add_error("ends", _("Ten years at most; it can be given anew."))
        except tenants.SubstationMissing as error:
            form.add_error("substation", str(error))
        except DomainError as error:
            refuse(form, error, starts_at="starts", ends_at="ends")
        else:
            told = _("%(region)s is held by %(shop)s.")
            messages.success(request, told % {"region": row.label, "shop": made.substation.name})
            return redirect("console:region", code)
    return region_page(request, row, 422, form)


@require_POST
@allowed(catalogue.REGIONS_MANAGE)
def grant_end(request: HttpRequest, public_id: str) -> HttpResponse:
    """End a grant now."""
    row = services.end_grant(public_id=public_id, by=actor(request), now=clock.utc_now())
    messages.success(request, _("%(region)s is free again.") % {"region": row.region.label})
    return redirect("console:region", row.region.code)


def _lead_deed(request: HttpRequest, public_id: str, deed: Any, told: str) -> HttpResponse:
    try:
        deed(public_id=public_id, by=actor(request), now=clock.utc_now())
    except LeadRefused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, told)
    return redirect("console:lead", public_id)


@require_POST
@allowed(catalogue.LEADS_HANDLE)
def lead_done(request: HttpRequest, public_id: str) -> HttpResponse:
    return _lead_deed(request, public_id, services.handle, _("Done."))


@require_POST
@allowed(catalogue.LEADS_HANDLE)
def lead_offer(request: HttpRequest, public_id: str) -> HttpResponse:
    return _lead_deed(request, public_id, services.offer_again, _("Offered to whoever holds the city."))


@require_POST
@allowed(catalogue.LEADS_HANDLE)
def lead_forget(request: HttpRequest, public_id: str) -> HttpResponse:
    return _lead_deed(
        request, public_id, services.forget, _("The contact is removed. That somebody asked stays known.")
    )
