"""Roles of a place's own, as panel and console show them: the same pages, each in its own frame and behind its own door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from kameng.accounts import catalogue, roles
from kameng.accounts.forms import RoleForm
from kameng.accounts.models import StaffRole, place
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import actor


@dataclass(frozen=True)
class RolePages:
    """`space` is the namespace of the addresses and the folder of the templates; `page` draws into the frame."""

    space: str
    page: Callable[..., HttpResponse]

    def index(self, request: HttpRequest) -> HttpResponse:
        """Every role with its people and what it may do, in plain words by group."""
        rows: list[dict[str, Any]] = [
            {"choice": one, "groups": catalogue.words(place(), one.permissions)} for one in roles.choices()
        ]
        for row in rows:
            if row["choice"].own:
                row["edit_url"] = reverse(f"{self.space}:role_edit", args=[row["choice"].own.pk])
                row["remove_url"] = reverse(f"{self.space}:role_remove", args=[row["choice"].own.pk])
        return self.page(request, f"{self.space}/roles.html", here="roles", heading=_("Roles"), listed=rows)

    def new(self, request: HttpRequest) -> HttpResponse:
        return self._form(request, None)

    def edit(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Raises: RoleUnknown."""
        row = StaffRole.objects.filter(pk=pk).first()
        if row is None:
            raise roles.RoleUnknown(_("There is no such role."))
        return self._form(request, row)

    def remove(self, request: HttpRequest, pk: int) -> HttpResponse:
        name = roles.remove(role_id=pk, by=actor(request), now=clock.utc_now())
        messages.success(request, _("The role %(name)s is gone.") % {"name": name})
        return redirect(f"{self.space}:roles")

    def _form(self, request: HttpRequest, row: StaffRole | None) -> HttpResponse:
        """The form of a role; what was sent and taken leads back to the list."""
        user: Any = request.user
        initial = {"name": row.name, "permissions": row.permissions} if row else {}
        form = RoleForm(request.POST if request.method == "POST" else None, initial=initial, mine=user.permissions)
        if request.method == "POST" and form.is_valid():
            try:
                saved = roles.save(
                    name=form.cleaned_data["name"], permissions=request.POST.getlist("permissions"), by=actor(request),
                    now=clock.utc_now(), role_id=row.pk if row else None,
                )  # fmt: skip
            except DomainError as error:
                form.add_error("name" if error.field == "name" else None, str(error))
            else:
                told = _("The role %(name)s is saved. It counts from the next click of everybody who has it.")
                messages.success(request, told % {"name": saved.name})
                return redirect(f"{self.space}:roles")
        back = reverse(f"{self.space}:roles")
        return self.page(
            request, f"{self.space}/role.html", here="roles", heading=row.name if row else _("New role"), form=form,
            crumbs=((_("Roles"), back),), back=back, status=422 if form.is_bound else 200,
        )  # fmt: skip
