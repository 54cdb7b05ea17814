"""The main station's people (`accounts.people`), with the mail that an invitation is."""

from __future__ import annotations

from datetime import datetime

from kameng.accounts import people
from kameng.accounts.models import User
from kameng.accounts.types import Actor
from kameng.jobs.services import enqueue

INVITATION_JOB = "console.mail_invitation"


def invite(*, email: str, name: str, role: str, by: Actor, now: datetime) -> User:
    """See `accounts.people.invite`. Raises: NotAllowed, PersonInvalid, MoreThanYours."""
    return people.invite(email=email, name=name, role=role, mail=_mail, by=by, now=now)


def invite_again(*, user_id: int, by: Actor, now: datetime) -> User:
    """See `accounts.people.invite_again`. Raises: NotAllowed, PersonUnknown, PersonInvalid."""
    return people.invite_again(user_id=user_id, mail=_mail, by=by, now=now)


def _mail(user: User) -> None:
    enqueue(kind=INVITATION_JOB, payload={"user_id": user.pk}, dedupe=str(user.pk))
