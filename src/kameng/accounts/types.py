"""Who acts: handed to every service as `by`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    USER = "USER"  # A person who logged in: platform user or shop staff.
    BUYER = "BUYER"  # A visitor of a shop, known by an order's secret at most.
    TOKEN = "TOKEN"  # A program with an API token.
    SYSTEM = "SYSTEM"  # A worker, a schedule, the command line.
    SUPPORT = "SUPPORT"  # A person of the main station's, looking into a shop (kameng.accounts.support).
    CHANNEL = "CHANNEL"  # A payment channel, by a verified callback.


@dataclass(frozen=True)
class Actor:
    """Shown in timelines as `label`; `id` is the user's or token's in the schema of the act."""

    kind: ActorKind
    label: str
    id: int | None = None
    ip: str = ""
    request_id: str = ""


SYSTEM = Actor(ActorKind.SYSTEM, "Kameng")
