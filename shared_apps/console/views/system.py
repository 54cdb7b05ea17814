"""Sync, audit trail, background jobs, API tokens."""

from __future__ import annotations

import json
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

from kameng.accounts import tokens as token_services
from kameng.accounts.access import owner_required, staff_required
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import actor
from shared_apps.console import lists, services, words
from shared_apps.console.forms.system import AuditFilters, JobFilters, SyncFilters, TokenForm
from shared_apps.console.page import page, refuse
from shared_apps.console.selectors import overview, system
from shared_apps.console.views.stock import day_start
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
JOB_SORTS = {"run": "run_at", "attempts": "attempts", "created": "pk"}


@require_GET
@staff_required
def sync(request: HttpRequest) -> HttpResponse:
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
    shown: Any = lists.paged(request, rows)
    shown.object_list = [(feed, words.FEEDS[feed.feed], words.FEED_STATES[feed.state]) for feed in shown]
    return page(
        request, "console/sync.html", here="sync", heading=_("Sync"), filters=filters, chips=filters.chips(counts),
        rows=shown,
    )  # fmt: skip


@require_POST
@staff_required
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
@staff_required
def audit_trail(request: HttpRequest) -> HttpResponseBase:
    filters = AuditFilters(request.GET)
    rows = system.audit(
        query=filters.query, action=filters.value("action"), since=day_start(filters.value("since")),
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
    row.kind_words = words.ACTOR_KINDS.get(row.actor_kind, row.actor_kind)
    row.details_text = json.dumps(row.details, ensure_ascii=False, indent=2) if row.details else ""


@require_GET
@staff_required
def jobs(request: HttpRequest) -> HttpResponse:
    filters = JobFilters(request.GET)
    rows = lists.ordered(request, system.jobs(query=filters.query, state=filters.value("state")), JOB_SORTS, "-created")
    shown = lists.paged(request, rows)
    for row in shown:
        row.state_words = words.JOB_STATES[row.state]
        row.payload_text = json.dumps(row.payload, ensure_ascii=False)
    return page(
        request, "console/jobs.html", here="jobs", heading=_("Background jobs"), filters=filters,
        chips=filters.chips(system.job_counts()), rows=shown,
    )  # fmt: skip


@require_POST
@staff_required
def job_retry(request: HttpRequest, pk: int) -> HttpResponse:
    services.retry_job(job_id=pk, by=actor(request), now=clock.utc_now())
    messages.success(request, _("The job is tried again within seconds."))
    return redirect(f"{reverse('console:jobs')}?{request.GET.urlencode()}")


def tokens(request: HttpRequest) -> HttpResponseBase:
    """Tokens of the main station: looking is everybody's, making one is not."""
    return _token_made(request) if request.method == "POST" else _tokens_page(request, TokenForm())


@owner_required
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


@staff_required
def _tokens_page(request: HttpRequest, form: TokenForm, secret: str = "") -> HttpResponse:
    now = clock.utc_now()
    rows: list[Any] = list(system.tokens())
    for row in rows:
        row.state = "REVOKED" if row.revoked_at else "EXPIRED" if row.expires_at and row.expires_at <= now else "LIVE"
        row.scope_words = [words.SCOPES.get(scope, scope) for scope in row.scopes]
    response = page(
        request, "console/tokens.html", here="tokens", heading=_("API tokens"), form=form, secret=secret, rows=rows,
        form_open=form.is_bound, status=422 if form.is_bound and form.errors else 200,
    )  # fmt: skip
    if secret:
        response["Cache-Control"] = "no-store"
    return response


@require_POST
@owner_required
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    token_services.revoke(token_id=pk, by=actor(request), now=clock.utc_now())
    messages.success(request, _("The token is revoked. Programs that use it are refused from now on."))
    return redirect("console:tokens")
