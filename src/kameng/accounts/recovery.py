"""Passes to set a password: signed, good for one schema, once, for a day. Nothing of them is stored.

A pass carries a fingerprint of the password hash it was made beside. Setting a password changes the hash, so that pass
and every other one of that person are worth nothing from then on.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth import password_validation
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit, factors, sessions
from kameng.accounts.models import INVITATION_LIFE, User
from kameng.accounts.types import Actor
from kameng.db.context import current_schema
from kameng.lib.errors import Forbidden, Invalid, TooMany
from kameng.web.counting import count, forget

PASS_LIFE_S = int(INVITATION_LIFE.total_seconds())
_SALT = "kameng.accounts.recovery"


class PassRefused(Forbidden):
    """Used, too old, of another shop, or never ours: the answer is the same."""

    code = "password_link_refused"

    def __init__(self) -> None:
        super().__init__(_("This link was used or is too old. Have a new one mailed to you."))


class PasswordRefused(Invalid):
    """The new password can't be taken; the old one stands."""

    code = "password_refused"


class PasswordPaused(TooMany):
    """Five wrong present passwords: a pause."""

    code = "password_paused"

    def __init__(self) -> None:
        super().__init__(
            _("Too many wrong passwords. It can't be changed for 15 minutes; nothing was changed."),
            details={"retry_after_s": factors.PAUSE_S},
        )


def make_pass(user: User) -> str:
    """A fresh pass for `user` of the current schema."""
    claim = {"schema": current_schema(), "user": user.pk, "print": _fingerprint(user)}
    return signing.dumps(claim, salt=_SALT, compress=False)


def link_path(user: User) -> str:
    """The address of the page that takes the pass, below the host."""
    return reverse("password_set", args=[make_pass(user)])


def holder_of(entry: str) -> User:
    """Whose pass it is. Raises: PassRefused."""
    try:
        claim = signing.loads(entry, salt=_SALT, max_age=PASS_LIFE_S)
    except signing.BadSignature as error:
        raise PassRefused() from error
    user = (
        User.objects.filter(pk=claim["user"], is_active=True).first() if claim["schema"] == current_schema() else None
    )
    if user is None or not constant_time_compare(claim["print"], _fingerprint(user)):
        raise PassRefused()
    return user


def set_by_pass(*, entry: str, password: str, by: Actor, now: datetime) -> User:
    """Set the password that the pass allows to set, and log its person out everywhere. Raises: PassRefused, PasswordRefused."""
    with transaction.atomic():
        # Race: the same link twice at once. The second waits for the row and then finds another fingerprint.
        User.objects.select_for_update().filter(pk=holder_of(entry).pk).first()
        user = holder_of(entry)
        _set(user, password)
        sessions.end_all(user=user, now=now)
        audit.record(action="accounts.password.set", by=by, target=user.email, at=now)
    return user


def change(*, user: User, present: str, password: str, by: Actor, now: datetime) -> User:
    """Change one's own password, knowing the present one. Raises: PasswordRefused, PasswordPaused.

    Tries are counted as codes are, and by themselves: whoever sits at an open browser does not find the password out here,
    and whoever knows it has no more tries at the second step for it.
    """
    key = f"accounts:password:tries:{user.pk}"
    if count(key, factors.PAUSE_S) > factors.TRIES:
        raise PasswordPaused()
    with transaction.atomic():
        row = User.objects.select_for_update().get(pk=user.pk)
        if not row.check_password(present):
            raise PasswordRefused(_("This is not your present password. Nothing was changed."), field="present")
        forget(key)
        _set(row, password)
        audit.record(action="accounts.password.changed", by=by, target=row.email, at=now)
    return row


def _set(user: User, password: str) -> None:
    try:
        password_validation.validate_password(password, user)
    except ValidationError as error:
        raise PasswordRefused(" ".join(error.messages), field="password") from None
    user.set_password(password)
    user.save(update_fields=["password"])


def _fingerprint(user: User) -> str:
    return salted_hmac(_SALT, f"{user.pk}:{user.password}:{user.email}", algorithm="sha256").hexdigest()[:32]
