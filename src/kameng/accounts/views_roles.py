"""Roles of a place's own, as panel and console show them: each draws these parts in its own frame."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _

from kameng.accounts import catalogue, roles
from kameng.accounts.forms import RoleForm
from kameng.accounts.models import StaffRole, place
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import actor


def listed() -> list[dict[str, Any]]:
    """Every role with its people and what it may do, in plain words by group."""
    return [{"choice": one, "groups": catalogue.words(place(), one.permissions)} for one in roles.choices()]


def filled(request: HttpRequest, row: StaffRole | None) -> tuple[RoleForm, StaffRole | None]:
    """The form of a role, and the role that came of it when it was sent and taken."""
    user: Any = request.user
    initial = {"name": row.name, "permissions": row.permissions} if row else {}
    form = RoleForm(request.POST if request.method == "POST" else None, initial=initial, mine=user.permissions)
    if request.method != "POST" or not form.is_valid():
        return form, None
    try:
        saved = roles.save(
            name=form.cleaned_data["name"], permissions=request.POST.getlist("permissions"), by=actor(request),
            now=clock.utc_now(), role_id=row.pk if row else None,
        )  # fmt: skip
    except DomainError as error:
        form.add_error("name" if error.field == "name" else None, str(error))
        return form, None
    told = _("The role %(name)s is saved. It counts from the next click of everybody who has it.")
    messages.success(request, told % {"name": saved.name})
    return form, saved


def found(pk: int) -> StaffRole:
    """Raises: RoleUnknown."""
    row = StaffRole.objects.filter(pk=pk).first()
    if row is None:
        raise roles.RoleUnknown(_("There is no such role."))
    return row


def removed(request: HttpRequest, pk: int) -> None:
    name = roles.remove(role_id=pk, by=actor(request), now=clock.utc_now())
    messages.success(request, _("The role %(name)s is gone.") % {"name": name})
