"""Staff, API tokens, and what everybody did."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext, pgettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kameng.accounts import catalogue, factors, roles, step_up
from kameng.accounts import people as people_services
from kameng.accounts import tokens as token_services
from kameng.accounts.access import may
from kameng.accounts.models import AuditRecord, User
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.lib.words import worded
from kameng.web.actors import actor
from tenant_apps.panel import services, words
from tenant_apps.panel.access import screen
from tenant_apps.panel.details import details_words
from tenant_apps.panel.forms.people import (
    DEEDS,
    IN,
    INVITED,
    LOCKED,
    PERSON_STATES,
    SCOPES,
    AuditFilters,
    InviteForm,
    StaffFilters,
    TokenFilters,
    TokenForm,
)
from tenant_apps.panel.lists import (
    Column,
    day_end,
    day_start,
    export,
    local_time,
    ordered,
    paged,
    sort_choices,
    wants_export,
)
from tenant_apps.panel.page import page, refuse, say
from tenant_apps.panel.selectors import activity, people, plan

# -- Staff.


@require_http_methods(["GET", "POST"])
@screen(catalogue.PEOPLE_MANAGE)
def staff(request: HttpRequest) -> HttpResponseBase:
    """Who may come in, and the form that invites another."""
    offered = roles.choices()
    filters = StaffFilters(request.GET, roles=offered)
    found = people.staff(query=filters.query, role=filters.value("role"), state=filters.value("state"))
    if request.GET.get("sort", "").removeprefix("-") in STAFF_SORTS:
        found = ordered(request, found, STAFF_SORTS, "name")
    if wants_export(request):
        return export(request, "staff", _STAFF_COLUMNS, found)
    form = InviteForm(request.POST or None, roles=offered)
    if request.method == "POST" and form.is_valid():
        try:
            user = services.invite(**form.cleaned_data, base_url=_base(request), by=actor(request), now=clock.utc_now())
        except DomainError as error:
            refuse(form, error)
        else:
            say(request, worded(gettext_lazy("A mail with a link is on its way to %(email)s."), email=user.email))
            return redirect("panel:staff")
    return page(
        request, "panel/staff.html", here="staff", heading=pgettext("menu", "Staff"), form=form, rows=paged(request, found),
        filters=filters, sorts=sort_choices(request, _STAFF_SORT_WORDS), last_owner=people_services.last_able(),
        roles=[(one.value, one.label) for one in offered], **words.limit_words(plan.staff()),
        with_factor=factors.people_with_one(), for_all=step_up.factor_for_all(), status=422 if form.is_bound and form.errors else 200,
    )  # fmt: skip


STAFF_SORTS = {"name": "name", "since": "created_at"}
_STAFF_SORT_WORDS = (
    ("", gettext_lazy("By role")),
    ("name", gettext_lazy("By name")),
    ("-since", gettext_lazy("Newest first")),
    ("since", gettext_lazy("Oldest first")),
)
_STAFF_COLUMNS: tuple[Column, ...] = (
    (pgettext_lazy("person", "Name"), lambda user: user.name),
    (gettext_lazy("Email"), lambda user: user.email),
    (gettext_lazy("Role"), lambda user: user.role_label),
    (gettext_lazy("State"), lambda user: dict(PERSON_STATES)[_state_of(user)]),
    (gettext_lazy("Since"), lambda user: local_time(user.created_at)),
)


def _state_of(user: User) -> str:
    if not user.is_active:
        return LOCKED
    return IN if user.has_usable_password() else INVITED


@require_POST
@screen(catalogue.PEOPLE_MANAGE)
def role(request: HttpRequest, pk: int) -> HttpResponse:
    user = people_services.set_role(
        user_id=pk, role=request.POST.get("role", ""), by=actor(request), now=clock.utc_now()
    )
    say(request, worded(gettext_lazy("%(who)s is now: %(role)s."), who=str(user), role=user.role_label))
    return redirect("panel:staff")


@require_POST
@screen(catalogue.PEOPLE_MANAGE)
def active(request: HttpRequest, pk: int) -> HttpResponse:
    on = request.POST.get("active") == "1"
    user = services.set_active(user_id=pk, active=on, by=actor(request), now=clock.utc_now())
    told = gettext_lazy("%(who)s may come in again.") if on else gettext_lazy("%(who)s can't log in any more.")
    say(request, worded(told, who=str(user)))
    return redirect("panel:staff")


@require_POST
@screen(catalogue.PEOPLE_MANAGE)
def resend(request: HttpRequest, pk: int) -> HttpResponse:
    user = services.invite_again(user_id=pk, base_url=_base(request), by=actor(request), now=clock.utc_now())
    say(request, worded(gettext_lazy("A mail with a link is on its way to %(email)s."), email=user.email))
    return redirect("panel:staff")


@require_POST
@screen(catalogue.PEOPLE_MANAGE)
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    email = people_services.withdraw(user_id=pk, by=actor(request), now=clock.utc_now())
    say(
        request, worded(gettext_lazy("The invitation of %(email)s is taken back; its link opens nothing."), email=email)
    )
    return redirect("panel:staff")


@require_POST
@screen(catalogue.PEOPLE_MANAGE)
def reset_factor(request: HttpRequest, pk: int) -> HttpResponse:
    """For somebody who lost phone and codes. They are told by mail."""
    user = factors.reset(user_id=pk, by=actor(request), now=clock.utc_now())
    say(request, worded(gettext_lazy("%(who)s is logged out and sets up a new second step."), who=str(user)))
    return redirect("panel:staff")


@require_POST
@screen(catalogue.PEOPLE_MANAGE)
def policy(request: HttpRequest) -> HttpResponse:
    """Whether everybody needs a second step, or only who does something with money or codes."""
    wanted = request.POST.get("for_all") == "1"
    step_up.demand_of_all(wanted=wanted, by=actor(request), now=clock.utc_now())
    say(
        request,
        _("Everybody needs a second step from now on.") if wanted else _("A second step is asked for money and codes."),
    )
    return redirect("panel:staff")


def _base(request: HttpRequest) -> str:
    """The shop's own address for links in mails; never what a request's header says of it."""
    return str(request.tenant.url)  # type: ignore[attr-defined]


# -- API tokens.


@require_http_methods(["GET", "POST"])
@screen(catalogue.TOKENS_MANAGE)
@never_cache
def tokens(request: HttpRequest) -> HttpResponseBase:
    """The list; a new token's secret stands on the answer to its form and nowhere else."""
    form = TokenForm(request.POST or None)
    made: dict[str, Any] = {}
    if request.method == "POST" and form.is_valid():
        now = clock.utc_now()
        days = form.cleaned_data["days"]
        try:
            token, secret = services.make_token(
                user=request.user, name=form.cleaned_data["name"], scopes=form.cleaned_data["scopes"],  # type: ignore[arg-type]
                by=actor(request), now=now, expires_at=None if days == "never" else now + timedelta(days=int(days)),
            )  # fmt: skip
        except DomainError as error:
            refuse(form, error)
        else:
            made = {"made": token, "secret": secret}
            form = TokenForm()
    filters = TokenFilters(request.GET)
    found = people.tokens(now=clock.utc_now(), query=filters.query, state=filters.value("state"))
    if wants_export(request):
        return export(request, "tokens", _TOKEN_COLUMNS, found)
    rows = paged(request, found)
    return page(
        request, "panel/tokens.html", here="tokens", heading=_("API tokens"), form=form, rows=rows, filters=filters,
        listed=[_token_row(token) for token in rows], has_api=plan.has_api(), status=422 if form.is_bound and form.errors else 200, **made,
    )  # fmt: skip


_TOKEN_COLUMNS: tuple[Column, ...] = (
    (gettext_lazy("Token"), lambda token: token.name),
    (gettext_lazy("Begins with"), lambda token: token.prefix),
    (gettext_lazy("Who"), lambda token: str(token.user)),
    (gettext_lazy("May"), lambda token: ", ".join(str(SCOPES.get(scope, scope)) for scope in token.scopes)),
    (gettext_lazy("Made"), lambda token: local_time(token.created_at)),
    (gettext_lazy("Used"), lambda token: local_time(token.used_at)),
    (gettext_lazy("Ends"), lambda token: local_time(token.expires_at)),
    (gettext_lazy("Revoked"), lambda token: local_time(token.revoked_at)),
)


def _token_row(token: Any) -> dict[str, Any]:
    ended = token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= clock.utc_now())
    return {"token": token, "scopes": [SCOPES.get(scope, scope) for scope in token.scopes], "ended": ended}


@require_POST
@screen(catalogue.TOKENS_MANAGE)
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    token_services.revoke(token_id=pk, by=actor(request), now=clock.utc_now())
    say(request, _("Revoked. Programs that use it are refused from now on."))
    return redirect("panel:tokens")


# -- What everybody did.


@require_GET
@screen(catalogue.ACTIVITY_LOOK)
def audit(request: HttpRequest) -> HttpResponseBase:
    filters = AuditFilters(request.GET)
    since, until = filters.value("since"), filters.value("until")
    found = people.audit_records(
        of_people=may(request, catalogue.PEOPLE_MANAGE), query=filters.query,
        meaning=words.actions_like(filters.query), group=DEEDS[filters.value("group")][1] if filters.value("group") else (),
        since=day_start(since) if since else None,
        before=day_end(until) if until else None,
    )  # fmt: skip
    found = ordered(request, found, {"at": "pk"}, "-at")
    if wants_export(request):
        return export(request, "activity", _COLUMNS, found)
    rows = paged(request, found)
    named = zip(rows, activity.about(list(rows)), strict=True)
    return page(
        request, "panel/audit.html", here="audit", heading=_("Activity"), filters=filters, rows=rows,
        sorts=sort_choices(request, (("-at", gettext_lazy("Newest first")), ("at", gettext_lazy("Oldest first")))),
        records=[_record_row(record, what) for record, what in named],
    )  # fmt: skip


def _record_row(record: AuditRecord, what: activity.About) -> dict[str, Any]:
    return {
        "record": record, "who": words.actor_words(record.actor_kind, record.actor_label), "about": what,
        "deed": words.action_words(record.action), "details": details_words(record.action, record.details),
    }  # fmt: skip


_COLUMNS: tuple[Column, ...] = (
    (gettext_lazy("Time"), lambda record: local_time(record.at)),
    (gettext_lazy("Who"), lambda record: words.actor_words(record.actor_kind, record.actor_label)),
    (gettext_lazy("What"), lambda record: words.action_words(record.action)),
    (gettext_lazy("About"), lambda record: record.target),
    (gettext_lazy("Details"), lambda record: details_words(record.action, record.details)),
    (gettext_lazy("IP address"), lambda record: record.ip),
)
