"""The main station's people: invited, given a role, locked out and let in again."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit, catalogue, roles
from kameng.accounts.models import Role, StaffRole, User
from kameng.accounts.types import Actor
from kameng.jobs.services import enqueue
from kameng.lib import mailboxes
from kameng.lib.errors import Invalid, Missing, Refused
from kameng.lib.words import worded

INVITATION_JOB = "console.mail_invitation"


class PersonInvalid(Invalid):
    """A field of an invitation can't be used; nobody was invited."""

    code = "person_invalid"


class PersonUnknown(Missing):
    """No such person on the main station."""

    code = "person_unknown"


class LastOperator(Refused):
    """The main station would be left without anybody who may change it. Nothing was changed."""

    code = "last_operator"

    def __init__(self) -> None:
        super().__init__(
            _("This is the last operator. Make somebody else an operator first; nothing was changed."), field="role"
        )


def invite(*, email: str, name: str, role: str, by: Actor, now: datetime) -> User:
    """Make a log-in without a password and mail its owner a link to set one: good once, for a day.

    Raises: PersonInvalid.
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
            audit.record(action="console.person.invited", by=by, target=address, at=now, role=_said(user))
            _mail(user)
    except IntegrityError:
        message = worded(_("%(email)s has a log-in here already."), email=address)
        raise PersonInvalid(message, field="email") from None
    return user


def invite_again(*, user_id: int, by: Actor, now: datetime) -> User:
    """Mail another link to somebody who has not set a password yet. Raises: PersonUnknown, PersonInvalid."""
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        user = _found(user_id)
        if user.has_usable_password() or not user.is_active:
            raise PersonInvalid(_("This person has a password already; they can have a new one mailed at log-in."))
        user.invited_at = now
        user.save(update_fields=["invited_at"])
        audit.record(action="console.person.invited", by=by, target=user.email, at=now, again=True)
        _mail(user)
    return user


def withdraw(*, user_id: int, by: Actor, now: datetime) -> str:
    """Take an invitation back that nobody has followed; answers its address. The link in the mail opens nothing then.

    Raises: PersonUnknown, PersonInvalid (they have come in already; lock them out).
    """
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        # Race: they choose their password at this moment. Both want the row; the second finds it changed, or gone.
        user = _found(user_id)
        if user.has_usable_password() or user.last_login is not None:
            raise PersonInvalid(_("This person has come in already. Lock them out instead; nothing was changed."))
        if not by.may_give(user.permissions):
            raise roles.MoreThanYours()
        email = user.email
        user.delete()
        audit.record(action="console.person.withdrawn", by=by, target=email, at=now)
    return email


def set_role(*, user_id: int, role: str, by: Actor, now: datetime) -> User:
    """Raises: PersonUnknown, PersonInvalid, LastOperator."""
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        operators = _locked_operators()
        user = _found(user_id)
        built_in, own, permissions = _role(role)
        if (user.role, user.own_role_id) == (built_in, own.pk if own else None):
            return user
        if not by.may_give(permissions | user.permissions):
            raise roles.MoreThanYours()
        if built_in != Role.OPERATOR:
            _keep_an_operator(operators, user)
        before = _said(user)
        user.role, user.own_role = built_in, own
        del user.permissions  # Of the role before.
        user.save(update_fields=["role", "own_role"])
        audit.record(action="console.person.role", by=by, target=user.email, at=now, before=before, role=_said(user))
    return user


def set_active(*, user_id: int, active: bool, by: Actor, now: datetime) -> User:
    """Lock somebody out at once, their API tokens with them, or let them in again. Raises: PersonUnknown, LastOperator."""
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        operators = _locked_operators()
        user = _found(user_id)
        if user.is_active == active:
            return user
        if not by.may_give(user.permissions):
            raise roles.MoreThanYours()
        if not active:
            _keep_an_operator(operators, user)
        user.is_active = active
        user.save(update_fields=["is_active"])
        action = "console.person.activated" if active else "console.person.deactivated"
        audit.record(action=action, by=by, target=user.email, at=now)
    return user


def _mail(user: User) -> None:
    enqueue(kind=INVITATION_JOB, payload={"user_id": user.pk}, dedupe=str(user.pk))


def _role(value: str) -> tuple[Role, StaffRole | None, frozenset[str]]:
    try:
        return roles.find(value)
    except roles.RoleUnknown as error:
        raise PersonInvalid(error.message, field="role") from None


def _said(user: User) -> str:
    """The role as the audit trail keeps it: an own one by the name that it had."""
    return user.own_role.name if user.own_role is not None else user.role


def _found(user_id: int) -> User:
    user = User.objects.select_related("own_role").select_for_update(of=("self",)).filter(pk=user_id).first()
    if user is None:
        raise PersonUnknown(_("There is no such person here."))
    return user


def _locked_operators() -> set[int]:
    """Active operators who can log in, their rows locked. Race: two who demote each other at once wait here."""
    rows = User.objects.select_for_update().filter(role=Role.OPERATOR, is_active=True).order_by("pk")
    return {row.pk for row in rows if row.has_usable_password()}


def _keep_an_operator(operators: set[int], user: User) -> None:
    if user.role == Role.OPERATOR and user.is_active and not operators - {user.pk}:
        raise LastOperator()
