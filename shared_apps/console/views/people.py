"""The main station's people and their roles."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from kameng.accounts import catalogue, factors, roles
from kameng.accounts import people as people_services
from kameng.accounts.access import allowed
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import actor
from shared_apps.console import lists, services
from shared_apps.console.forms.people import InviteForm, PeopleFilters
from shared_apps.console.page import page, refuse
from shared_apps.console.selectors import system

SORTS = {"name": "name", "role": "role", "since": "created_at", "seen": "last_login"}
EXPORT: list[lists.Column] = [
    (gettext_lazy("Mail"), lambda row: row.email),
    (gettext_lazy("Person"), lambda row: row.name),
    (gettext_lazy("Role"), lambda row: row.role_label),
    (gettext_lazy("May log in"), lambda row: row.is_active),
    (gettext_lazy("Last log-in"), lambda row: row.last_login),
    (gettext_lazy("Since"), lambda row: row.created_at),
]


@allowed(catalogue.STATION_PEOPLE_LOOK, change=catalogue.STATION_PEOPLE)
def people(request: HttpRequest) -> HttpResponseBase:
    """Everybody may look; inviting is an operator's."""
    offered = roles.choices()
    if request.method == "POST":
        return _invited(request, offered)
    return _people_page(request, offered, InviteForm(roles=offered))


def _invited(request: HttpRequest, offered: list[roles.Choice]) -> HttpResponseBase:
    form = InviteForm(request.POST, roles=offered)
    if form.is_valid():
        try:
            user = services.invite(**form.cleaned_data, by=actor(request), now=clock.utc_now())
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("A mail with a link is on its way to %(email)s.") % {"email": user.email})
            return redirect("console:people")
    return _people_page(request, offered, form)


def _people_page(request: HttpRequest, offered: list[roles.Choice], form: InviteForm) -> HttpResponseBase:
    filters = PeopleFilters(request.GET, roles=offered)
    rows = lists.ordered(request, system.people(query=filters.query, role=filters.value("role")), SORTS, "name")
    if lists.wants_export(request):
        return lists.export(request, "people", EXPORT, rows)
    return page(
        request, "console/people.html", here="people", heading=_("People"), filters=filters,
        chips=filters.chips({one.value: one.people for one in offered}), rows=lists.paged(request, rows), form=form,
        roles=[(one.value, one.label) for one in offered], with_factor=factors.people_with_one(), last_operator=people_services.last_able(),
        form_open=form.is_bound, status=422 if form.is_bound else 200,
    )  # fmt: skip


@require_POST
@allowed(catalogue.STATION_PEOPLE)
def role(request: HttpRequest, pk: int) -> HttpResponseBase:
    user = people_services.set_role(
        user_id=pk, role=request.POST.get("role", ""), by=actor(request), now=clock.utc_now()
    )
    words = _("%(who)s is now: %(role)s.") % {"who": user, "role": user.role_label}
    messages.success(request, words)
    return redirect("console:people")


@require_POST
@allowed(catalogue.STATION_PEOPLE)
def active(request: HttpRequest, pk: int) -> HttpResponseBase:
    on = request.POST.get("active") == "1"
    user = people_services.set_active(user_id=pk, active=on, by=actor(request), now=clock.utc_now())
    words = _("%(who)s may come in again.") if on else _("%(who)s can't log in any more.")
    messages.success(request, words % {"who": user})
    return redirect("console:people")


@require_POST
@allowed(catalogue.STATION_PEOPLE)
def invite_again(request: HttpRequest, pk: int) -> HttpResponseBase:
    user = services.invite_again(user_id=pk, by=actor(request), now=clock.utc_now())
    messages.success(request, _("A mail with a link is on its way to %(email)s.") % {"email": user.email})
    return redirect("console:people")


@require_POST
@allowed(catalogue.STATION_PEOPLE)
def withdraw(request: HttpRequest, pk: int) -> HttpResponseBase:
    email = people_services.withdraw(user_id=pk, by=actor(request), now=clock.utc_now())
    messages.success(
        request, _("The invitation of %(email)s is taken back; its link opens nothing.") % {"email": email}
    )
    return redirect("console:people")


@require_POST
@allowed(catalogue.STATION_PEOPLE)
def reset_factor(request: HttpRequest, pk: int) -> HttpResponseBase:
    """For somebody who lost phone and codes. They are told by mail."""
    user = factors.reset(user_id=pk, by=actor(request), now=clock.utc_now())
    messages.success(request, _("%(who)s is logged out and sets up a new second step.") % {"who": user})
    return redirect("console:people")
