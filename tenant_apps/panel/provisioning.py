"""The owner's log-in in the new shop."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kameng.accounts import audit
from kameng.accounts.models import Role, User
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_substation


def create_owner(substation: Any, signup: Any, now: datetime) -> None:
    """The user row of the owner, with the password hash of the signup; an existing row is left alone."""
    with in_substation(substation):
        user, made = User.objects.get_or_create(
            email=substation.owner_email,
            defaults={
                "name": substation.owner_name,
                "role": Role.OWNER,
                "language": substation.language,
                "password": getattr(signup, "password", "") or "!",
            },
        )
        if made:
            audit.record(action="panel.owner.created", by=SYSTEM, target=user.email, at=now)
