"""The main station's people: invited, given a role, locked out and let in again."""

from __future__ import annotations

from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.models import Role, User
from kameng.accounts.types import Actor
from kameng.jobs.services import enqueue
from kameng.lib.errors import Invalid, Missing, Refused
from kameng.lib.words import worded

ROLES = (Role.OPERATOR, Role.VIEWER)
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
    address = email.strip().lower()
    try:
        validate_email(address)
    except ValidationError:
        raise PersonInvalid(_("This email address can't be used."), field="email") from None
    if role not in ROLES:
        raise PersonInvalid(_("There is no such role."), field="role")
    try:
        with transaction.atomic():
            user = User.objects.create_user(address, None, name=name.strip()[:80], role=role)
            audit.record(action="console.person.invited", by=by, target=address, at=now, role=str(role))
            _mail(user)
    except IntegrityError:
        message = worded(_("%(email)s has a log-in here already."), email=address)
        raise PersonInvalid(message, field="email") from None
    return user


def invite_again(*, user_id: int, by: Actor, now: datetime) -> User:
    """Mail another link to somebody who has not set a password yet. Raises: PersonUnknown, PersonInvalid."""
    with transaction.atomic():
        user = _found(user_id)
        if user.has_usable_password() or not user.is_active:
            raise PersonInvalid(_("This person has a password already; they can have a new one mailed at log-in."))
        audit.record(action="console.person.invited", by=by, target=user.email, at=now, again=True)
        _mail(user)
    return user


def set_role(*, user_id: int, role: str, by: Actor, now: datetime) -> User:
    """Raises: PersonUnknown, PersonInvalid, LastOperator."""
    if role not in ROLES:
        raise PersonInvalid(_("There is no such role."), field="role")
    with transaction.atomic():
        operators = _locked_operators()
        user = _found(user_id)
        if user.role == role:
            return user
        if role != Role.OPERATOR:
            _keep_an_operator(operators, user)
        before, user.role = user.role, role
        user.save(update_fields=["role"])
        audit.record(action="console.person.role", by=by, target=user.email, at=now, before=str(before), role=str(role))
    return user


def set_active(*, user_id: int, active: bool, by: Actor, now: datetime) -> User:
    """Lock somebody out at once, their API tokens with them, or let them in again. Raises: PersonUnknown, LastOperator."""
    with transaction.atomic():
        operators = _locked_operators()
        user = _found(user_id)
        if user.is_active == active:
            return user
        if not active:
            _keep_an_operator(operators, user)
        user.is_active = active
        user.save(update_fields=["is_active"])
        action = "console.person.activated" if active else "console.person.deactivated"
        audit.record(action=action, by=by, target=user.email, at=now)
    return user


def _mail(user: User) -> None:
    enqueue(kind=INVITATION_JOB, payload={"user_id": user.pk}, dedupe=str(user.pk))


def _found(user_id: int) -> User:
    user = User.objects.select_for_update().filter(pk=user_id).first()
    if user is None:
        raise PersonUnknown(_("There is no such person here."))
    return user


def _locked_operators() -> set[int]:
    """Active operators who can log in, their rows locked. Race: two who demote each other at once wait here."""
    rows = User.objects.select_for_update().filter(role=Role.OPERATOR, is_active=True).order_by("pk")
    return {row.pk for row in rows if row.has_usable_password()}


def _keep_an_operator(operators: set[int], user: User) -> None:
    if operators <= {user.pk}:
        raise LastOperator()
