"""Who acts: handed to every service as `by`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Forbidden


class ActorKind(StrEnum):
    USER = "USER"  # A person who logged in: platform user or shop staff.
    BUYER = "BUYER"  # A visitor of a shop, known by an order's secret at most.
    TOKEN = "TOKEN"  # A program with an API token.
    SYSTEM = "SYSTEM"  # A worker, a schedule, the command line.
    SUPPORT = "SUPPORT"  # A person of the main station's, looking into a shop (kameng.accounts.support).
    CHANNEL = "CHANNEL"  # A payment channel, by a verified callback.


class NotAllowed(Forbidden):
    """Whoever acts has no role that allows it. `details` names the permission."""

    code = "not_allowed"

    def __init__(self, permission: str) -> None:
        super().__init__(
            _("Your role does not allow this; nothing was changed. Ask an owner for one that does."),
            details={"permission": permission},
        )


@dataclass(frozen=True)
class Actor:
    """Shown in timelines as `label`; `id` is the user's or token's in the schema of the act.

    `permissions`: what the person may do, of `accounts.catalogue`; None for whoever acts by no role (a worker, a buyer
    with an order's key, a channel), where the service's own rules decide alone.
    """

    kind: ActorKind
    label: str
    id: int | None = None
    ip: str = ""
    request_id: str = ""
    permissions: frozenset[str] | None = None

    def must(self, permission: str) -> None:
        """Raises NotAllowed where this actor acts by a role, and the role lacks it. The second lock behind the door."""
        if self.permissions is not None and permission not in self.permissions:
            raise NotAllowed(permission)

    def may_give(self, permissions: frozenset[str]) -> bool:
        """Nobody hands out what they have not themselves."""
        return self.permissions is None or permissions <= self.permissions


SYSTEM = Actor(ActorKind.SYSTEM, "Kameng")
