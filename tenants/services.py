"""What the main station does to substations and plans after they are made. Main scope, one audit record each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.jobs import services as jobs
from kameng.lib import reasons
from kameng.lib.errors import Invalid
from tenants import hosts, lifecycle
from tenants.lifecycle import LifecycleRefused
from tenants.models import Plan, Substation, SyncFeed, SyncState
from tenants.selectors import PlanMissing
from tenants.states import SYNCED, UNREACHABLE, SubstationEvent, SubstationState

# What a substation fetches from the library and the stock; its statement has a feed of its own.
GOODS_FEEDS = (SyncFeed.LIBRARY, SyncFeed.STOCK)
PLAN_FIELDS = frozenset(
    {
        "code", "name_zh", "name_en", "pitch_zh", "pitch_en", "supply_level", "opening_fee_minor", "monthly_fee_minor",
        "yearly_fee_minor", "deposit_minor", "trial_days", "grace_days", "platform_fee_bps", "settlement_days",
        "max_listings", "max_staff", "max_own_products", "api_allowed", "own_domain_allowed", "sort", "active",
    }
)  # fmt: skip


class PlanInvalid(Invalid):
    """A value that a plan can't have; `field` names it."""

    code = "plan_invalid"


def suspend(*, public_id: str, reason: str, by: Actor, now: datetime) -> Substation:
    """Close the storefront until it is resumed; orders that are paid are still delivered.

    Raises: SubstationMissing, ReasonMissing, LifecycleRefused (nothing is changed).
    """
    why = reasons.required(reason, refusal=reasons.THE_OWNER_READS_IT)
    return lifecycle.move(
        substation_id=lifecycle.find(public_id).pk, event=SubstationEvent.SUSPEND, by=by, now=now, reason=why,
        suspended_reason=why,
    )  # fmt: skip


def resume(*, public_id: str, by: Actor, now: datetime) -> Substation:
    """SUSPENDED → what it was before. Raises: SubstationMissing, LifecycleRefused."""
    return lifecycle.move(
        substation_id=lifecycle.find(public_id).pk, event=SubstationEvent.RESUME, by=by, now=now, suspended_reason=""
    )


def change_plan(*, public_id: str, plan_code: str, by: Actor, now: datetime) -> Substation:
    """Put a substation on another plan: its supply prices follow within seconds, its fee from the next sale on.

    Raises: SubstationMissing, PlanMissing, LifecycleRefused (it has this plan, or is closed).
    """
    plan = Plan.objects.filter(code=plan_code).first()
    if plan is None:
        raise PlanMissing(_("There is no such plan."))
    with transaction.atomic():
        substation = lifecycle.find(public_id, lock=True)
        before = substation.plan
        if before.pk == plan.pk:
            raise LifecycleRefused(_("The shop has this plan already. Nothing was changed."))
        if substation.state in (SubstationState.CLOSED, SubstationState.ERASED):
            raise LifecycleRefused(_("The shop is closed. Nothing was changed."))
        substation.plan = plan
        substation.save(update_fields=["plan"])
        _forget_sync([substation.pk])
        audit.record(
            action="tenants.substation.plan", by=by, target=public_id, at=now, before=before.code, after=plan.code
        )
        transaction.on_commit(lambda: hosts.forget(substation))
    return substation


def create_plan(*, by: Actor, now: datetime, **values: Any) -> Plan:
    """A new plan, offered at signup as soon as it is active. Raises: PlanInvalid."""
    return _save_plan(Plan(), values, "tenants.plan.created", by, now)


def update_plan(*, code: str, by: Actor, now: datetime, **changes: Any) -> Plan:
    """Change a plan for all its shops. Another supply level gives them other supply prices within seconds.

    Raises: PlanMissing, PlanInvalid.
    """
    with transaction.atomic():
        plan = Plan.objects.select_for_update().filter(code=code).first()
        if plan is None:
            raise PlanMissing(_("There is no such plan."))
        level = plan.supply_level
        saved = _save_plan(plan, changes, "tenants.plan.changed", by, now)
        shops = list(Substation.objects.filter(plan=saved).exclude(state__in=UNREACHABLE))
        if saved.supply_level != level:
            _forget_sync([shop.pk for shop in shops])
        transaction.on_commit(lambda: _forget_hosts(shops))
    return saved


def _forget_hosts(shops: list[Substation]) -> None:
    for shop in shops:
        hosts.forget(shop)


def _save_plan(plan: Plan, values: dict[str, Any], action: str, by: Actor, now: datetime) -> Plan:
    unknown = set(values) - PLAN_FIELDS
    assert not unknown, f"A plan has no {unknown}"
    changed = {}
    for name, value in values.items():
        if getattr(plan, name) != value:
            changed[name] = value
            setattr(plan, name, value)
    for name in ("opening_fee_minor", "monthly_fee_minor", "yearly_fee_minor", "deposit_minor"):
        if getattr(plan, name) < 0:
            raise PlanInvalid(_("A fee can't be below zero."), field=name)
    if plan.yearly_fee_minor and not plan.monthly_fee_minor:
        raise PlanInvalid(_("A plan with a yearly price has a monthly one, too."), field="monthly_fee_minor")
    if plan.platform_fee_bps > 10_000:
        raise PlanInvalid(_("The platform's fee is between 0 and 100 percent."), field="platform_fee_bps")
    try:
        plan.full_clean()
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        raise PlanInvalid(messages[0], field=name) from error
    with transaction.atomic():
        plan.save()
        audit.record(action=action, by=by, target=plan.code, at=now, changed=changed)
    return plan


def repeat_sync(*, public_id: str = "", full: bool, by: Actor, now: datetime) -> int:
    """Have the goods of one substation, or of all, fetched again within seconds; answers how many substations.

    `full`: every row is compared, whatever was fetched before. Raises: SubstationMissing.
    """
    with transaction.atomic():
        rows = Substation.objects.filter(state__in=SYNCED)
        ids = [lifecycle.find(public_id).pk] if public_id else list(rows.values_list("pk", flat=True))
        if full:
            _forget_sync(ids)
        else:
            jobs.enqueue(kind="listings.sync_all", payload={}, dedupe="all")
        audit.record(action="tenants.sync.repeated", by=by, target=public_id, at=now, full=full, substations=len(ids))
    return len(ids)


def _forget_sync(substation_ids: list[int]) -> None:
    """Make the next sync of these compare everything, and ask for it."""
    SyncState.objects.filter(substation_id__in=substation_ids, feed__in=GOODS_FEEDS).update(watermark=0)
    jobs.enqueue(kind="listings.sync_all", payload={}, dedupe="all")
