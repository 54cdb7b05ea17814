"""A place's people: invited, given a role, locked out and let in again. One who may do everything always stays.

The same for a shop and for the main station; `place()` says whose words and whose codes count. Each call stands in the
place's scope, and the act and its audit record fall together. Mail goes by a job, and jobs stand above this app: whoever
invites says how the link is sent (`mail`), which is called in the act's transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit, catalogue, roles, sessions
from kameng.accounts.catalogue import Place
from kameng.accounts.models import Role, StaffRole, User, place
from kameng.accounts.types import Actor
from kameng.lib import mailboxes
from kameng.lib.errors import Invalid, Missing, Refused
from kameng.lib.words import Sentence, worded

Mail = Callable[[User], None]


@dataclass(frozen=True)
class _Names:
    """What the places call it: `acts` begins an audit record's action, `noun` and `first` stand in the codes."""

    acts: str
    noun: str
    first: str
    known: Sentence
    unknown: Sentence
    last: Sentence


NAMES = {
    Place.SHOP: _Names(
        acts="panel.staff",
        noun="staff",
        first="owner",
        known=_("%(email)s is in this shop already."),
        unknown=_("There is no such person in this shop."),
        last=_("This is the shop's last owner. Make somebody else an owner first; nothing was changed."),
    ),
    Place.MAIN: _Names(
        acts="console.person",
        noun="person",
        first="operator",
        known=_("%(email)s has a log-in here already."),
        unknown=_("There is no such person here."),
        last=_("This is the last operator. Make somebody else an operator first; nothing was changed."),
    ),
}
ACTS = ("invited", "withdrawn", "role", "activated", "deactivated")


class PersonInvalid(Invalid):
    """A field of an invitation can't be used, or the invitation is over; nothing was changed."""

    def __init__(self, message: object, *, field: str = "") -> None:
        super().__init__(message, code=f"{_names().noun}_invalid", field=field)


class PersonUnknown(Missing):
    """No such person here."""

    def __init__(self) -> None:
        super().__init__(_names().unknown, code=f"{_names().noun}_unknown")


class LastOfAll(Refused):
    """Nobody would be left who may do everything and can log in. Nothing was changed."""

    def __init__(self) -> None:
        super().__init__(_names().last, code=f"last_{_names().first}", field="role")


def invite(*, email: str, name: str, role: str, mail: Mail, by: Actor, now: datetime) -> User:
    """Make a log-in without a password and mail its owner a link to set one: good once, for a day.

    Raises: NotAllowed, PersonInvalid, MoreThanYours.
    """
    by.must(catalogue.PEOPLE_MANAGE)
    address = email.strip().lower()
    if not mailboxes.is_one(address):
        raise PersonInvalid(_("This email address can't be used."), field="email")
    try:
        with transaction.atomic():
            built_in, own, permissions = _role(role)
            if not by.may_give(permissions):
                raise roles.MoreThanYours()
            user = User.objects.create_user(
                address, None, name=name.strip()[:80], role=built_in, own_role=own, invited_at=now
            )
            _record("invited", user, by, now, role=_said(user))
            mail(user)
    except IntegrityError:
        raise PersonInvalid(worded(_names().known, email=address), field="email") from None
    return user


def invite_again(*, user_id: int, mail: Mail, by: Actor, now: datetime) -> User:
    """Mail another link to somebody who has not set a password yet. Raises: NotAllowed, PersonUnknown, PersonInvalid."""
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        user = _found(user_id)
        if user.has_usable_password() or not user.is_active:
            raise PersonInvalid(_("This person has a password already; they can have a new one mailed at log-in."))
        user.invited_at = now
        user.save(update_fields=["invited_at"])
        _record("invited", user, by, now, again=True)
        mail(user)
    return user


def withdraw(*, user_id: int, by: Actor, now: datetime) -> str:
    """Take an invitation back that nobody has followed; answers its address. The link in the mail opens nothing then.

    Raises: NotAllowed, PersonUnknown, PersonInvalid (they have come in already; lock them out), MoreThanYours.
    """
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        # Race: they choose their password at this moment. Both want the row; the second finds it changed, or gone.
        user = _found(user_id)
        if user.has_usable_password() or user.last_login is not None:
            raise PersonInvalid(_("This person has come in already. Lock them out instead; nothing was changed."))
        if not by.may_give(user.permissions):
            raise roles.MoreThanYours()
        user.delete()
        _record("withdrawn", user, by, now)
    return user.email


def set_role(*, user_id: int, role: str, by: Actor, now: datetime) -> User:
    """Raises: NotAllowed, PersonUnknown, PersonInvalid, MoreThanYours, LastOfAll."""
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        able = _locked_able()
        user = _found(user_id)
        built_in, own, permissions = _role(role)
        if (user.role, user.own_role_id) == (built_in, own.pk if own else None):
            return user
        if not by.may_give(permissions | user.permissions):
            raise roles.MoreThanYours()
        if built_in != _first():
            _keep_one(able, user)
        before = _said(user)
        user.role, user.own_role = built_in, own
        del user.permissions  # Of the role before.
        user.save(update_fields=["role", "own_role"])
        _record("role", user, by, now, before=before, role=_said(user))
    return user


def set_active(*, user_id: int, active: bool, by: Actor, now: datetime) -> User:
    """Lock somebody out at once, their API tokens with them, or let them in again.

    Their sessions end for good: who was locked out for a lost telephone is not let in on it again. Their tokens rest
    meanwhile, and are there again with them.

    Raises: NotAllowed, PersonUnknown, MoreThanYours, LastOfAll.
    """
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        able = _locked_able()
        user = _found(user_id)
        if user.is_active == active:
            return user
        if not by.may_give(user.permissions):
            raise roles.MoreThanYours()
        if not active:
            _keep_one(able, user)
        user.is_active = active
        user.save(update_fields=["is_active"])
        # Letting in ends them as well. Race: somebody whose password was right just before they were locked out has a
        # session that began just after; until now it opened nothing.
        sessions.end_all(user=user, now=now)
        _record("activated" if active else "deactivated", user, by, now)
    return user


def last_able() -> int | None:
    """Who can't be spared, by id: the only one who may do everything and can log in. None where there are more."""
    rows = User.objects.filter(role=_first(), is_active=True)
    able = [row.pk for row in rows if row.has_usable_password()]
    return able[0] if len(able) == 1 else None


def _names() -> _Names:
    return NAMES[place()]


def _first() -> Role:
    """The role that holds everything."""
    return roles.BUILT_IN[place()][0]


def _record(act: str, user: User, by: Actor, now: datetime, **details: object) -> None:
    assert act in ACTS, act
    audit.record(action=f"{_names().acts}.{act}", by=by, target=user.email, at=now, **details)


def _role(value: str) -> tuple[Role, StaffRole | None, frozenset[str]]:
    try:
        return roles.find(value)
    except roles.RoleUnknown as error:
        raise PersonInvalid(error.message, field="role") from None


def _said(user: User) -> str:
    """The role as the audit trail keeps it: an own one by the name that it had."""
    return user.own_role.name if user.own_role is not None else user.role


def _found(user_id: int) -> User:
    # Locked without their role: where the lock was waited for, Postgres joins the new row with the old one's role, and
    # somebody who was given another one would have none. It is read afterwards, by a statement of its own.
    user = User.objects.select_for_update().filter(pk=user_id).first()
    if user is None:
        raise PersonUnknown()
    return user


def _locked_able() -> set[int]:
    """Who may do everything and can log in, their rows locked. Race: two who demote each other at once wait here."""
    rows = User.objects.select_for_update().filter(role=_first(), is_active=True).order_by("pk")
    return {row.pk for row in rows if row.has_usable_password()}


def _keep_one(able: set[int], user: User) -> None:
    """One of them may go when another one stays who can log in; somebody who was only invited can't, yet."""
    if user.role == _first() and user.is_active and not able - {user.pk}:
        raise LastOfAll()
