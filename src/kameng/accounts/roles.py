"""Roles of a place's own: made of the catalogue's permissions, given to people, removed when nobody has them.

The same for a shop and for the main station; `place()` says whose catalogue counts. Nobody gives what they have not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Count, ProtectedError
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit, catalogue
from kameng.accounts.catalogue import Place
from kameng.accounts.models import Role, StaffRole, User, place
from kameng.accounts.types import Actor
from kameng.lib.errors import Forbidden, Invalid, Missing, Refused
from kameng.lib.words import Sentence, worded

# In the order in which they are offered; the first holds everything, and one person always has it.
BUILT_IN: dict[Place, tuple[Role, ...]] = {
    Place.SHOP: (Role.OWNER, Role.MANAGER, Role.SUPPORT, Role.FINANCE, Role.VIEWER),
    Place.MAIN: (Role.OPERATOR, Role.MANAGER, Role.SUPPORT, Role.FINANCE, Role.VIEWER),
}
TEXTS: dict[Place, dict[str, Sentence]] = {
    Place.SHOP: {
        Role.OWNER: _("Everything, also money, people and the shop itself."),
        Role.MANAGER: _("Goods, prices, orders, codes and shop settings. No money, no people."),
        Role.SUPPORT: _("Helps buyers: orders, delivery by hand, their codes."),
        Role.FINANCE: _("Statement, plan and invoices, refunds. Looks at the rest."),
        Role.VIEWER: _("Looks at goods and orders, changes nothing."),
    },
    Place.MAIN: {
        Role.OPERATOR: _("Everything: products, stock, codes, money, people."),
        Role.MANAGER: _("Library, stock, substations, sync. No money, no codes in the clear, no people."),
        Role.SUPPORT: _("Looks everywhere, visits shops with a reason, sees codes with a reason."),
        Role.FINANCE: _("Ledger, payment cases, plans, merchant accounts, split rules, invoices."),
        Role.VIEWER: _("Looks at every page and exports lists. Changes nothing, sees no code."),
    },
}


class RoleInvalid(Invalid):
    """The role's name or permissions can't be used; nothing was saved."""

    code = "role_invalid"


class RoleUnknown(Missing):
    """No such role here."""

    code = "role_unknown"


class RoleInUse(Refused):
    """Somebody has it."""

    code = "role_in_use"


class MoreThanYours(Forbidden):
    """Nobody can hand out, or take, more than they have themselves."""

    code = "more_than_yours"

    def __init__(self) -> None:
        super().__init__(
            _("This would touch more than your own role includes. Ask an owner to do it; nothing was changed."),
            field="permissions",
        )


@dataclass(frozen=True)
class Choice:
    """A role that can be given: what goes into the form, how it is called, what it may do."""

    value: str
    label: Sentence
    text: Sentence
    permissions: frozenset[str]
    people: int = 0
    own: StaffRole | None = None


def choices() -> list[Choice]:
    """Built-in roles, then the place's own by name; each with the number of people who have it."""
    here = place()
    counts: dict[str, int] = {}
    for row in User.objects.filter(own_role__isnull=True).values("role").annotate(n=Count("pk")).order_by():
        name = Role.MANAGER.value if row["role"] == Role.STAFF else row["role"]
        counts[name] = counts.get(name, 0) + row["n"]
    built_in = [
        Choice(role.value, role.label, TEXTS[here][role], catalogue.of_role(here, role), counts.get(role.value, 0))
        for role in BUILT_IN[here]
    ]
    own = [
        Choice(f"own:{row.pk}", row.name, summary(row.permissions), catalogue.known(here, row.permissions), row.n, row)
        for row in StaffRole.objects.annotate(n=Count("people")).order_by("name")
    ]
    return [*built_in, *own]


def summary(permissions: Iterable[str]) -> Sentence:
    """A role's permissions as one line: the first few, and how many more."""
    here = place()
    held = [one for one in catalogue.CATALOGUES[here].values() if one.code in set(permissions)]
    if not held:
        return _("Only the overview.")
    first = ", ".join(str(one.label) for one in held[:3])
    if len(held) <= 3:
        return first
    return worded(_("%(first)s, and %(n)s more"), first=first, n=len(held) - 3)


def find(value: str) -> tuple[Role, StaffRole | None, frozenset[str]]:
    """What a form's value stands for: the row's role, the own role, and what it may do. Raises: RoleUnknown.

    An own role's row is locked, so that it can't be removed before the person has it.
    """
    here = place()
    if value in [role.value for role in BUILT_IN[here]]:
        return Role(value), None, catalogue.of_role(here, value)
    if value == Role.STAFF and here == Place.SHOP:  # As programs of before wrote it.
        return Role.MANAGER, None, catalogue.of_role(here, Role.MANAGER)
    kind, _colon, pk = value.partition(":")
    if kind == "own" and pk.isascii() and pk.isdigit() and len(pk) < 19:
        row = StaffRole.objects.select_for_update().filter(pk=int(pk)).first()
        if row is not None:
            return Role.VIEWER, row, catalogue.known(here, row.permissions)
    raise RoleUnknown(_("There is no such role."), field="role")


def save(*, name: str, permissions: Iterable[str], by: Actor, now: datetime, role_id: int | None = None) -> StaffRole:
    """Make a role, or change one. Raises: NotAllowed, RoleInvalid, RoleUnknown, MoreThanYours."""
    by.must(catalogue.PEOPLE_MANAGE)
    here, clean, wanted = place(), " ".join(name.split())[:60], frozenset(permissions)
    if not clean:
        raise RoleInvalid(_("Name the role."), field="name")
    if wanted - set(catalogue.CATALOGUES[here]):
        raise RoleInvalid(_("There is no such permission. Reload the page; nothing was saved."), field="permissions")
    if not wanted:
        raise RoleInvalid(_("Tick at least one thing that it may do."), field="permissions")
    if clean.casefold() in {str(role.label).casefold() for role in BUILT_IN[here]}:
        raise RoleInvalid(_("A role of this name is there already."), field="name")
    try:
        with transaction.atomic():
            row, before = StaffRole(), frozenset[str]()
            if role_id is not None:
                row = _locked(role_id)
                before = catalogue.known(here, row.permissions)
            if not by.may_give(wanted | before):
                raise MoreThanYours()
            row.name, row.permissions = clean, sorted(wanted)
            row.save()
            action = "accounts.role.made" if role_id is None else "accounts.role.changed"
            audit.record(
                action=action, by=by, target=clean, at=now, given=sorted(wanted - before), taken=sorted(before - wanted)
            )
    except IntegrityError:
        raise RoleInvalid(_("A role of this name is there already."), field="name") from None
    return row


def remove(*, role_id: int, by: Actor, now: datetime) -> str:
    """Remove a role that nobody has; answers its name. Raises: NotAllowed, RoleUnknown, RoleInUse, MoreThanYours."""
    by.must(catalogue.PEOPLE_MANAGE)
    try:
        with transaction.atomic():
            row = _locked(role_id)
            if not by.may_give(catalogue.known(place(), row.permissions)):
                raise MoreThanYours()
            row.delete()  # Race: somebody is given it meanwhile. They wait for the row, or the key to it refuses this.
            audit.record(action="accounts.role.removed", by=by, target=row.name, at=now)
    except ProtectedError:
        raise RoleInUse(_("Somebody has this role. Give them another one first; nothing was changed.")) from None
    return row.name


def _locked(role_id: int) -> StaffRole:
    row = StaffRole.objects.select_for_update().filter(pk=role_id).first()
    if row is None:
        raise RoleUnknown(_("There is no such role."))
    return row
