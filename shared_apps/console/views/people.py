"""The main station's people and their roles."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from kameng.accounts.access import owner_required, staff_required
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import actor
from shared_apps.console import lists, services
from shared_apps.console.forms.people import ROLES, InviteForm, PeopleFilters
from shared_apps.console.page import page, refuse
from shared_apps.console.selectors import system

SORTS = {"name": "name", "role": "role", "since": "created_at", "seen": "last_login"}
EXPORT: list[lists.Column] = [
    (gettext_lazy("Mail"), lambda row: row.email),
    (gettext_lazy("Person"), lambda row: row.name),
    (gettext_lazy("Role"), lambda row: row.get_role_display()),
    (gettext_lazy("May log in"), lambda row: row.is_active),
    (gettext_lazy("Last log-in"), lambda row: row.last_login),
    (gettext_lazy("Since"), lambda row: row.created_at),
]


def people(request: HttpRequest) -> HttpResponseBase:
    """Everybody may look; inviting is an operator's."""
    return _invited(request) if request.method == "POST" else _people_page(request, InviteForm())


@owner_required
def _invited(request: HttpRequest) -> HttpResponseBase:
    form = InviteForm(request.POST)
    if form.is_valid():
        try:
            user = services.invite(**form.cleaned_data, by=actor(request), now=clock.utc_now())
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("A mail with a link is on its way to %(email)s.") % {"email": user.email})
            return redirect("console:people")
    return _people_page(request, form)


@staff_required
def _people_page(request: HttpRequest, form: InviteForm) -> HttpResponseBase:
    filters = PeopleFilters(request.GET)
    rows = lists.ordered(request, system.people(query=filters.query, role=filters.value("role")), SORTS, "name")
    if lists.wants_export(request):
        return lists.export(request, "people", EXPORT, rows)
    return page(
        request, "console/people.html", here="people", heading=_("People"), filters=filters,
        chips=filters.chips(system.role_counts()), rows=lists.paged(request, rows), form=form,
        roles=[(value, label.title) for value, label in ROLES], form_open=form.is_bound,
        status=422 if form.is_bound else 200,
    )  # fmt: skip


@require_POST
@owner_required
def role(request: HttpRequest, pk: int) -> HttpResponseBase:
    user = services.set_role(user_id=pk, role=request.POST.get("role", ""), by=actor(request), now=clock.utc_now())
    words = _("%(who)s is now: %(role)s.") % {"who": user, "role": user.get_role_display()}
    messages.success(request, words)
    return redirect("console:people")


@require_POST
@owner_required
def active(request: HttpRequest, pk: int) -> HttpResponseBase:
    on = request.POST.get("active") == "1"
    user = services.set_active(user_id=pk, active=on, by=actor(request), now=clock.utc_now())
    words = _("%(who)s may come in again.") if on else _("%(who)s can't log in any more.")
    messages.success(request, words % {"who": user})
    return redirect("console:people")


@require_POST
@owner_required
def invite_again(request: HttpRequest, pk: int) -> HttpResponseBase:
    user = services.invite_again(user_id=pk, by=actor(request), now=clock.utc_now())
    messages.success(request, _("A mail with a link is on its way to %(email)s.") % {"email": user.email})
    return redirect("console:people")
