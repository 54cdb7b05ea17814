"""Sync, audit trail, background jobs, API tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import catalogue
from kameng.accounts import tokens as token_services
from kameng.accounts.access import allowed
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import actor
from shared_apps.console import lists, services, words
from shared_apps.console.forms.system import AuditFilters, JobFilters, SyncFilters, TokenFilters, TokenForm
from shared_apps.console.page import page, refuse
from shared_apps.console.selectors import overview, system
from shared_apps.console.views.stock import day_start
from tenants import selectors as tenants_selectors
from tenants import services as tenants

AUDIT_EXPORT: list[lists.Column] = [
    (gettext_lazy("At"), lambda row: row.at),
    (gettext_lazy("Who"), lambda row: row.actor_label),
    (gettext_lazy("Kind"), lambda row: words.ACTOR_KINDS.get(row.actor_kind, row.actor_kind)),
    (gettext_lazy("Deed"), lambda row: words.action_words(row.action)),
    (gettext_lazy("Object"), lambda row: row.target),
    (gettext_lazy("Details"), lambda row: row.details),
    (gettext_lazy("Address (IP)"), lambda row: row.ip),
    (gettext_lazy("Request"), lambda row: row.request_id),
]
SYNC_SORTS: dict[str, Callable[[overview.FeedState], Any]] = {
    "shop": lambda feed: feed.name,
    "state": lambda feed: feed.state,
    "ran": lambda feed: feed.ran_at,
    "changed": lambda feed: feed.changed_at,
    "took": lambda feed: feed.duration_ms,
}
SYNC_EXPORT: list[lists.Column] = [
    (gettext_lazy("Shop"), lambda feed: feed.name),
    (gettext_lazy("Feed"), lambda feed: words.FEEDS[feed.feed]),
    (gettext_lazy("State"), lambda feed: words.FEED_STATES[feed.state]),
    (gettext_lazy("Last run"), lambda feed: feed.ran_at),
    (gettext_lazy("Last change"), lambda feed: feed.changed_at),
    (gettext_lazy("Rows"), lambda feed: feed.rows_changed),
    (gettext_lazy("Took (ms)"), lambda feed: feed.duration_ms),
    (gettext_lazy("Problem"), lambda feed: feed.error),
]
JOB_SORTS = {"run": "run_at", "attempts": "attempts", "created": "pk"}


@require_GET
@allowed(catalogue.SYSTEM_LOOK, change=catalogue.SYSTEM_MANAGE)
def sync(request: HttpRequest) -> HttpResponseBase:
    filters = SyncFilters(request.GET)
    found = overview.feed_states(clock.utc_now())
    counts: dict[str, int] = {}
    for feed in found:
        counts[feed.state] = counts.get(feed.state, 0) + 1
    word, kind, state = filters.query.casefold(), filters.value("feed"), filters.value("state")
    rows = [
        feed
        for feed in found
        if (not word or word in feed.name.casefold() or word in feed.slug or word == feed.public_id)
        and (not kind or feed.feed == kind)
        and (not state or feed.state == state)
    ]
    rows = _sorted(request, rows)
    if lists.wants_export(request):
        return lists.export(request, "sync", SYNC_EXPORT, rows)
    shown: Any = lists.paged(request, rows)
    shown.object_list = [(feed, words.FEEDS[feed.feed], words.FEED_STATES[feed.state]) for feed in shown]
    return page(
        request, "console/sync.html", here="sync", heading=_("Sync"), filters=filters, chips=filters.chips(counts),
        rows=shown,
    )  # fmt: skip


def _sorted(request: HttpRequest, rows: list[overview.FeedState]) -> list[overview.FeedState]:
    """By ?sort=, as lists.ordered does it for rows of a table; what never ran stands last."""
    wished = request.GET.get("sort", "")
    key = SYNC_SORTS.get(wished.removeprefix("-"))
    if key is None:
        return rows
    known = [row for row in rows if key(row) is not None]
    known.sort(key=key, reverse=wished.startswith("-"))
    return [*known, *[row for row in rows if key(row) is None]]


@require_POST
@allowed(catalogue.SYSTEM_MANAGE)
def sync_repeat(request: HttpRequest) -> HttpResponse:
    """Fetch again: one shop or all, what changed or everything."""
    full = request.POST.get("deed") == "full"
    public_id = request.POST.get("substation", "")
    tenants.repeat_sync(public_id=public_id, full=full, by=actor(request), now=clock.utc_now())
    messages.success(
        request,
        _("Every row is being compared; the page shows when it is done.") if full
        else _("What changed is being fetched; the page shows when it is done."),
    )  # fmt: skip
    return redirect("console:sync")


@require_GET
@allowed(catalogue.AUDIT_LOOK)
def audit_trail(request: HttpRequest) -> HttpResponseBase:
    filters = AuditFilters(request.GET)
    rows = system.audit(
        query=filters.query, meaning=words.actions_like(filters.query), action=filters.value("action"),
        since=day_start(filters.value("since")),
        until=day_start(filters.value("until"), 1),
    )  # fmt: skip
    if lists.wants_export(request):
        return lists.export(request, "audit-trail", AUDIT_EXPORT, rows)
    shown = lists.paged(request, rows)
    for row in shown:
        tell_record(row)
    return page(request, "console/audit.html", here="audit", heading=_("Audit trail"), filters=filters, rows=shown)


def tell_record(row: Any) -> None:
    """Words and address of an audit record, for the templates."""
    row.words = words.action_words(row.action)
    row.url = words.address_of(row.action, row.target)
    row.icon = words.action_icon(row.action)
    row.kind_words = words.ACTOR_KINDS.get(row.actor_kind, row.actor_kind)
    row.details_text = json.dumps(row.details, ensure_ascii=False, indent=2) if row.details else ""


@require_GET
@allowed(catalogue.SYSTEM_LOOK, change=catalogue.SYSTEM_MANAGE)
def jobs(request: HttpRequest) -> HttpResponseBase:
    filters = JobFilters(request.GET)
    shops = {schema: shop for shop, schema in shop_schemas()}
    rows = system.jobs(query=filters.query, state=filters.value("state"), kinds=_kinds_like(filters.query))
    rows = lists.ordered(request, rows, JOB_SORTS, "-created")
    if lists.wants_export(request):
        return lists.export(request, "jobs", _job_columns(shops), rows)
    shown = lists.paged(request, rows)
    for row in shown:
        row.state_words, row.words = words.JOB_STATES[row.state], words.job_words(row.kind)
        row.payload_text = json.dumps(row.payload, ensure_ascii=False) if row.payload else ""
        row.shop = shops.get(row.schema_name)
        row.about, row.url = _about(row)
    return page(
        request, "console/jobs.html", here="jobs", heading=_("Background jobs"), filters=filters,
        chips=filters.chips(system.job_counts()), rows=shown,
    )  # fmt: skip


def shop_schemas() -> list[tuple[tenants_selectors.ShopName, str]]:
    """Every shop with the name of its schema."""
    names = tenants_selectors.shop_names()
    return [(names[pk], schema) for pk, schema in tenants_selectors.schemas() if pk in names]


def _kinds_like(query: str) -> list[str]:
    """Kinds whose words hold what was typed."""
    text = query.strip().casefold()
    return [kind for kind, said in words.JOBS.items() if text in str(said).casefold()] if text else []


def _about(row: Any) -> tuple[str, str]:
    """What a job is about and its page; nothing where it is about no page."""
    payload = row.payload
    if row.shop and "order_number" in payload:
        return payload["order_number"], reverse("console:order", args=[row.shop.slug, payload["order_number"]])
    if "case_public_id" in payload:
        return payload["case_public_id"], reverse("console:case", args=[payload["case_public_id"]])
    if "event_id" in payload:
        return f"#{payload['event_id']}", reverse("console:event", args=[payload["event_id"]])
    if "run" in payload:
        return payload["run"], reverse("console:import_run", args=[payload["run"]])
    if "lead" in payload:
        return payload["lead"], reverse("console:lead", args=[payload["lead"]])
    return "", ""  # The rest is for who looks closer: it stands in the row's title.


def _job_columns(shops: dict[str, tenants_selectors.ShopName]) -> list[lists.Column]:
    return [
        (gettext_lazy("Job"), lambda row: words.job_words(row.kind)),
        (gettext_lazy("Kind"), lambda row: row.kind),
        (gettext_lazy("State"), lambda row: words.JOB_STATES[row.state]),
        (gettext_lazy("Shop"), lambda row: shops[row.schema_name].name if row.schema_name in shops else ""),
        (gettext_lazy("Attempts"), lambda row: row.attempts),
        (gettext_lazy("Due"), lambda row: row.run_at),
        (gettext_lazy("Begun"), lambda row: row.created_at),
        (gettext_lazy("Problem"), lambda row: row.last_error),
    ]


@require_POST
@allowed(catalogue.SYSTEM_MANAGE)
def job_retry(request: HttpRequest, pk: int) -> HttpResponse:
    services.retry_job(job_id=pk, by=actor(request), now=clock.utc_now())
    messages.success(request, _("The job is tried again within seconds."))
    return redirect(f"{reverse('console:jobs')}?{request.GET.urlencode()}")


TOKEN_EXPORT: list[lists.Column] = [
    (gettext_lazy("Token"), lambda row: row.name),
    (gettext_lazy("Begins with"), lambda row: row.prefix),
    (gettext_lazy("State"), lambda row: words.TOKEN_STATES[row.state]),
    (gettext_lazy("What it may do"), lambda row: " ".join(row.scopes)),
    (gettext_lazy("Person"), lambda row: row.user.email),
    (gettext_lazy("Made"), lambda row: row.created_at),
    (gettext_lazy("Last used"), lambda row: row.used_at),
    (gettext_lazy("Good until"), lambda row: row.expires_at),
]


@allowed(catalogue.STATION_TOKENS_LOOK, change=catalogue.STATION_TOKENS)
def tokens(request: HttpRequest) -> HttpResponseBase:
    """Tokens of the main station: looking is everybody's, making one is not."""
    return _token_made(request) if request.method == "POST" else _tokens_page(request, TokenForm())


def _token_made(request: HttpRequest) -> HttpResponseBase:
    """A new token; its secret is on this answer and never again."""
    form = TokenForm(request.POST)
    secret = ""
    if form.is_valid():
        data = form.cleaned_data
        user: Any = request.user
        try:
            with transaction.atomic():
                _made, secret = token_services.create(
                    user=user, name=data["name"], scopes=data["scopes"], by=actor(request), now=clock.utc_now(),
                    expires_at=_end_of(data["expires"]),
                )  # fmt: skip
        except DomainError as error:
            refuse(form, error)
        else:
            form = TokenForm()
    return _tokens_page(request, form, secret)


def _end_of(day: date | None) -> datetime | None:
    return timezone.make_aware(datetime.combine(day, time.max)) if day else None


def _tokens_page(request: HttpRequest, form: TokenForm, secret: str = "") -> HttpResponseBase:
    now = clock.utc_now()
    filters = TokenFilters(request.GET)
    found: list[Any] = list(system.tokens(query=filters.query))
    for row in found:
        row.state = "REVOKED" if row.revoked_at else "EXPIRED" if row.expires_at and row.expires_at <= now else "LIVE"
    counts: dict[str, int] = {}
    for row in found:
        counts[row.state] = counts.get(row.state, 0) + 1
    matching = [row for row in found if filters.value("state") in ("", row.state)]
    if lists.wants_export(request):
        return lists.export(request, "api-tokens", TOKEN_EXPORT, matching)
    rows: Any = lists.paged(request, matching)
    for row in rows:
        row.scope_words = [words.SCOPES.get(scope, scope) for scope in row.scopes]
    response = page(
        request, "console/tokens.html", here="tokens", heading=_("API tokens"), form=form, secret=secret, rows=rows,
        form_open=form.is_bound, filters=filters, chips=filters.chips(counts), status=422 if form.is_bound and form.errors else 200,
    )  # fmt: skip
    if secret:
        response["Cache-Control"] = "no-store"
    return response


@require_POST
@allowed(catalogue.STATION_TOKENS)
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    token_services.revoke(token_id=pk, by=actor(request), now=clock.utc_now())
    messages.success(request, _("The token is revoked. Programs that use it are refused from now on."))
    return redirect("console:tokens")
