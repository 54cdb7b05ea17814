"""What others read of substations and plans. Main scope."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Missing
from tenants.models import DomainClaim, Plan, Substation, SyncState
from tenants.states import UNREACHABLE, ClaimState, SubstationState


class SubstationMissing(Missing):
    """No such substation."""

    code = "substation_unknown"


class PlanMissing(Missing):
    """No such plan."""

    code = "plan_unknown"


class ShopName(NamedTuple):
    """What a list needs of a shop: its row says only the id."""

    public_id: str
    slug: str
    name: str


def substations(
    *, query: str = "", state: str = "", plan: str = "", stayed_behind: bool = False
) -> QuerySet[Substation]:
    """Substations with their plans, those in the making too.

    Args:
        query: Parts of a name, address or mail, or an id.
        stayed_behind: Only those whose last upgrade failed.
    """
    rows: QuerySet[Substation] = Substation.objects.select_related("plan")
    if stayed_behind:
        rows = rows.exclude(schema_problem="")
    for word in query.split():
        rows = rows.filter(
            Q(name__icontains=word) | Q(slug__icontains=word) | Q(owner_email__icontains=word) | Q(public_id=word)
        )
    if state:
        rows = rows.filter(state=state)
    if plan:
        rows = rows.filter(plan__code=plan)
    return rows


def substation(public_id: str) -> Substation:
    """A substation with its plan, by its public id or its address's slug. Raises: SubstationMissing."""
    rows = Substation.objects.select_related("plan")
    found: Substation | None = rows.filter(Q(public_id=public_id) | Q(slug=public_id)).first()
    if found is None:
        raise SubstationMissing(_("There is no such substation."))
    return found


def domains_in_use(substation_id: int) -> int:
    """How many domains of its own a shop has: those that lead to it, and those that wait for DNS."""
    return DomainClaim.objects.filter(substation_id=substation_id).exclude(state=ClaimState.LOST).count()


def shop_names(ids: set[int] | list[int] | None = None) -> dict[int, ShopName]:
    """Id → name of substations; all of them without `ids`."""
    rows = Substation.objects.all() if ids is None else Substation.objects.filter(pk__in=ids)
    return {pk: ShopName(*rest) for pk, *rest in rows.values_list("pk", "public_id", "slug", "name")}


def schemas() -> list[tuple[int, str]]:
    """Id and schema's name of every substation that has a schema."""
    return list(Substation.objects.exclude(state__in=UNREACHABLE).values_list("pk", "schema_name"))


def state_counts() -> dict[str, int]:
    """How many substations are in each state."""
    return dict(Substation.objects.order_by().values_list("state").annotate(count=Count("pk")))


def opened_between(since: datetime, until: datetime) -> int:
    """How many substations went live in a span of time."""
    return int(Substation.objects.filter(live_at__gte=since, live_at__lt=until).count())


def plans() -> QuerySet[Plan]:
    """All plans in their order, with the number of their living shops as `shop_count`."""
    living = ~Q(substations__state__in=UNREACHABLE | {SubstationState.CLOSED})
    rows = Plan.objects.annotate(shop_count=Count("substations", filter=living & Q(substations__isnull=False)))
    return rows.order_by("sort", "id")  # A grouped query has no order of its model.


def plan(code: str) -> Plan:
    """Raises: PlanMissing."""
    found = Plan.objects.filter(code=code).first()
    if found is None:
        raise PlanMissing(_("There is no such plan."))
    return found


def sync_states(substation_id: int | None = None) -> QuerySet[SyncState]:
    """How far each substation has come with each feed."""
    rows = SyncState.objects.select_related("substation", "substation__plan").order_by("substation_id", "feed")
    return rows if substation_id is None else rows.filter(substation_id=substation_id)
