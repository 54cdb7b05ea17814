"""Staff, API tokens, and what everybody did."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kameng.accounts import tokens as token_services
from kameng.accounts.models import AuditRecord
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.lib.words import worded
from kameng.web.actors import actor
from tenant_apps.panel import services, words
from tenant_apps.panel.access import is_owner, owner_screen, screen
from tenant_apps.panel.forms.people import ROLES, SCOPES, AuditFilters, InviteForm, TokenForm
from tenant_apps.panel.lists import Column, day_end, day_start, export, local_time, paged, wants_export
from tenant_apps.panel.page import page, refuse, say
from tenant_apps.panel.selectors import people

# -- Staff.


@require_http_methods(["GET", "POST"])
@owner_screen
def staff(request: HttpRequest) -> HttpResponse:
    """Who may come in, and the form that invites another."""
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = services.invite(**form.cleaned_data, base_url=_base(request), by=actor(request), now=clock.utc_now())
        except DomainError as error:
            refuse(form, error)
        else:
            say(request, worded(gettext_lazy("A mail with a link is on its way to %(email)s."), email=user.email))
            return redirect("panel:staff")
    return page(
        request, "panel/staff.html", here="staff", heading=pgettext("menu", "Staff"), form=form, rows=people.staff(),
        roles=[(value, label.title) for value, label in ROLES], status=422 if form.is_bound and form.errors else 200,
    )  # fmt: skip


@require_POST
@owner_screen
def role(request: HttpRequest, pk: int) -> HttpResponse:
    user = services.set_role(user_id=pk, role=request.POST.get("role", ""), by=actor(request), now=clock.utc_now())
    say(request, worded(gettext_lazy("%(who)s is now: %(role)s."), who=str(user), role=user.get_role_display()))
    return redirect("panel:staff")


@require_POST
@owner_screen
def active(request: HttpRequest, pk: int) -> HttpResponse:
    on = request.POST.get("active") == "1"
    user = services.set_active(user_id=pk, active=on, by=actor(request), now=clock.utc_now())
    told = gettext_lazy("%(who)s may come in again.") if on else gettext_lazy("%(who)s can't log in any more.")
    say(request, worded(told, who=str(user)))
    return redirect("panel:staff")


@require_POST
@owner_screen
def resend(request: HttpRequest, pk: int) -> HttpResponse:
    user = services.invite_again(user_id=pk, base_url=_base(request), by=actor(request), now=clock.utc_now())
    say(request, worded(gettext_lazy("A mail with a link is on its way to %(email)s."), email=user.email))
    return redirect("panel:staff")


def _base(request: HttpRequest) -> str:
    """The shop's own address for links in mails; never what a request's header says of it."""
    return str(request.tenant.url)  # type: ignore[attr-defined]


# -- API tokens.


@require_http_methods(["GET", "POST"])
@owner_screen
@never_cache
def tokens(request: HttpRequest) -> HttpResponse:
    """The list; a new token's secret stands on the answer to its form and nowhere else."""
    form = TokenForm(request.POST or None)
    made: dict[str, Any] = {}
    if request.method == "POST" and form.is_valid():
        now = clock.utc_now()
        days = form.cleaned_data["days"]
        try:
            token, secret = token_services.create(
                user=request.user, name=form.cleaned_data["name"], scopes=form.cleaned_data["scopes"],  # type: ignore[arg-type]
                by=actor(request), now=now, expires_at=now + timedelta(days=int(days)) if days else None,
            )  # fmt: skip
        except DomainError as error:
            refuse(form, error)
        else:
            made = {"made": token, "secret": secret}
            form = TokenForm()
    rows = paged(request, people.tokens())
    return page(
        request, "panel/tokens.html", here="tokens", heading=_("API tokens"), form=form, rows=rows,
        listed=[_token_row(token) for token in rows], status=422 if form.is_bound and form.errors else 200, **made,
    )  # fmt: skip


def _token_row(token: Any) -> dict[str, Any]:
    ended = token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= clock.utc_now())
    return {"token": token, "scopes": [SCOPES.get(scope, scope) for scope in token.scopes], "ended": ended}


@require_POST
@owner_screen
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    token_services.revoke(token_id=pk, by=actor(request), now=clock.utc_now())
    say(request, _("Revoked. Programs that use it are refused from now on."))
    return redirect("panel:tokens")


# -- What everybody did.


@require_GET
@screen
def audit(request: HttpRequest) -> HttpResponseBase:
    filters = AuditFilters(request.GET)
    since, until = filters.value("since"), filters.value("until")
    found = people.audit_records(
        owner=is_owner(request), query=filters.query, since=day_start(since) if since else None,
        before=day_end(until) if until else None,
    )  # fmt: skip
    if wants_export(request):
        return export(request, "activity", _COLUMNS, found)
    rows = paged(request, found)
    return page(
        request, "panel/audit.html", here="audit", heading=_("Activity"), filters=filters, rows=rows,
        records=[_record_row(record) for record in rows],
    )  # fmt: skip


def _record_row(record: AuditRecord) -> dict[str, Any]:
    return {
        "record": record, "who": words.actor_words(record.actor_kind, record.actor_label),
        "deed": words.action_words(record.action), "url": words.target_url(record.action, record.target),
        "details": words.details_words(record.details),
    }  # fmt: skip


_COLUMNS: tuple[Column, ...] = (
    (gettext_lazy("Time"), lambda record: local_time(record.at)),
    (gettext_lazy("Who"), lambda record: words.actor_words(record.actor_kind, record.actor_label)),
    (gettext_lazy("What"), lambda record: words.action_words(record.action)),
    (gettext_lazy("About"), lambda record: record.target),
    (gettext_lazy("Details"), lambda record: words.details_words(record.details)),
    (gettext_lazy("IP address"), lambda record: record.ip),
)
