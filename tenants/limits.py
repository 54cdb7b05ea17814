"""What a plan allows a shop to have: shown before it bites, and enforced where things are added.

The bound stands in the plan, in the shared schema; what is in use is counted by whoever owns the things. A service that
adds calls `claim` in its own transaction; a screen shows `limit`. A shop can have more than its plan allows (the main
station lowered the plan, or the library brought back a product): nothing is taken away then, and nothing can be added.
Own domains are let go after days of grace (`tenants._proofs`), because a name that leads to the shop is in use all the time.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from kameng.db.context import in_main, require_tenant
from kameng.lib.errors import Refused
from kameng.lib.words import worded
from tenants.models import Plan, Substation

NEAR_PERCENT = 80  # From here on a screen says how much is left without being asked.


class Countable(enum.StrEnum):
    """What a plan counts; the value is the plan's column."""

    LISTINGS = "max_listings"  # SKUs on the shelf that are for sale.
    STAFF = "max_staff"  # People who may log in, the owner among them.


class Switch(enum.StrEnum):
    """What a plan has or has not; the value is the plan's column."""

    API = "api_allowed"
    OWN_DOMAIN = "own_domain_allowed"


class LimitReached(Refused):
    """Adding would go beyond what the plan allows. `details`: limit, used, bound, adding. Nothing was changed."""

    code = "plan_limit_reached"


class NotInPlan(Refused):
    """The shop's plan does not have this at all. Nothing was changed."""

    code = "not_in_plan"


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of something is in use. `bound` None: as many as one likes."""

    kind: Countable
    used: int
    bound: int | None

    @property
    def left(self) -> int | None:
        """How many more there is room for, never below 0; None without a bound."""
        return None if self.bound is None else max(0, self.bound - self.used)

    @property
    def full(self) -> bool:
        """Whether nothing can be added."""
        return self.left == 0

    @property
    def near(self) -> bool:
        """Whether the reader should be told although they did not ask."""
        return self.bound is not None and self.used * 100 >= self.bound * NEAR_PERCENT


_FULL: dict[Countable, str | Promise] = {
    Countable.LISTINGS: _(
        "The plan has room for %(bound)s SKUs on the shelf; %(used)s are there, and %(adding)s more would be too many. "
        "Take some off, or choose a bigger plan. Nothing was changed."
    ),
    Countable.STAFF: _(
        "The plan has room for %(bound)s people, and %(used)s may log in. Lock somebody out, or choose a bigger plan. "
        "Nothing was changed."
    ),
}
_LACKING: dict[Switch, str | Promise] = {
    Switch.API: _("The shop's plan has no API. Choose one that has it. Nothing was changed."),
    Switch.OWN_DOMAIN: _("The shop's plan has no domain of its own. Choose one that has it. Nothing was changed."),
}


def limit(kind: Countable, *, used: int) -> Limit:
    """How much of `kind` the shop of this scope may have, and has. One look-up in the shared schema."""
    return Limit(kind, used, getattr(_plan(), kind.value))


def allows(switch: Switch) -> bool:
    """Whether the plan of this scope's shop has something."""
    return bool(getattr(_plan(), switch.value))


def claim(kind: Countable, *, count: Callable[[], int], adding: int) -> None:
    """Make sure that `adding` more fit, until the caller's transaction ends. A shop's scope.

    Race: two people who add the last one at once, or one who adds while the shop is put on a smaller plan. All of them
    lock the substation's row; `count` is asked under the lock, so the second sees what the first has added. Adding
    nothing asks nothing. Raises: LimitReached.
    """
    if adding <= 0:
        return
    bound: int | None = getattr(_plan(lock=True), kind.value)
    if bound is None:
        return
    used = count()
    if used + adding > bound:
        raise LimitReached(
            worded(_FULL[kind], bound=f"{bound:,}", used=f"{used:,}", adding=f"{adding:,}"),
            details={"limit": kind.name.lower(), "used": used, "bound": bound, "adding": adding},
        )


def require(switch: Switch) -> None:
    """The plan must have it, until the caller's transaction ends. A shop's scope. Raises: NotInPlan."""
    require_of(_plan(lock=True), switch)


def require_of(plan: Plan, switch: Switch, *, field: str = "") -> None:
    """The same of a plan whose substation the caller has locked. Any scope. Raises: NotInPlan."""
    if not getattr(plan, switch.value):
        raise NotInPlan(_LACKING[switch], field=field, details={"limit": switch.name.lower()})


def room(kind: Countable, *, count: Callable[[], int]) -> int | None:
    """How many more fit, until the caller's transaction ends; None: as many as one likes. A shop's scope."""
    return Limit(kind, count(), bound).left if (bound := getattr(_plan(lock=True), kind.value)) is not None else None


def _plan(*, lock: bool = False) -> Plan:
    """The plan of this scope's shop; with the substation's row locked, if wanted, as a change of plan locks it."""
    schema = require_tenant()
    with in_main():
        rows = Substation.objects.filter(schema_name=schema)
        if lock:
            # NO KEY: orders and receipts that refer to the substation go on meanwhile. The plan is read afterwards: one
            # that was joined before the wait would be the old one, or none.
            rows = rows.select_for_update(no_key=True)
        return Plan.objects.get(pk=rows.values_list("plan_id", flat=True).get())
