"""What the billing screen says: the plan's facts, how much of it is used, and what an unpaid shop has to know."""

from __future__ import annotations

from typing import Any

from django.template.defaultfilters import date as date_filter
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from kameng.lib.money import format_minor
from shared_apps.billing.states import Method, SubscriptionState
from shared_apps.billing.types import Overview, WayToPay
from tenants.limits import Limit
from tenants.models import Plan
from tenants.states import BillingInterval, Standing


def terms_name(plan: Plan, interval: str) -> str:
    """A plan and its period, where the period makes a difference."""
    return _("%(plan)s, by the year") % {"plan": plan.label} if interval == BillingInterval.YEAR else plan.label


def method_words(way: WayToPay) -> str:
    """A way to pay, as a person calls it."""
    return _("Test channel") if way.channel == "testpay" else way.name


def day(moment: Any) -> str:
    """A day in the shop's zone."""
    return str(date_filter(timezone.localtime(moment), "Y-m-d"))


def price_of(plan: Plan, interval: str) -> str:
    """What a period costs, in words."""
    fee = plan.period_fee_minor(interval)
    if not fee:
        return _("Free")
    words = _("%(sum)s a year") if interval == BillingInterval.YEAR else _("%(sum)s a month")
    return words % {"sum": format_minor(fee)}


def facts(seen: Overview, *, going: bool) -> list[dict[str, str]]:
    """The plan at a glance, row by row. `going`: the shop is being closed, or is; what would have come next does not."""
    row = seen.subscription
    found = [(_("Price"), price_of(seen.plan, row.interval if row else BillingInterval.MONTH))]
    if row is not None and row.state == SubscriptionState.TRIAL and row.trial_ends_at:
        found.append((_("Free until"), day(row.trial_ends_at)))
    elif row is not None and row.state == SubscriptionState.ACTIVE and row.period_end:
        found.append((_("Paid until"), day(row.period_end)))
    if not going and row is not None and row.cancel_at_period_end and not row.is_moved:
        found.append((_("Then"), _("It ends, and the storefront closes.")))
    elif not going and row is not None and (row.next_plan is not None or row.is_moved):
        then = row.next_plan or row.moved_to or seen.plan
        found.append((_("Then"), f"{then.label}, {price_of(then, row.next_interval or row.interval)}"))
    if row is not None and row.plan.costs:
        found.append((_("Paid from"), str(Method(row.method).label)))
    found.append((_("Platform fee"), f"{seen.plan.platform_fee_bps / 100:g} %"))
    found.append((pgettext("money", "Settlement"), f"T+{seen.plan.settlement_days}"))
    return [{"label": label, "value": value} for label, value in found]


def differences(old: Plan, new: Plan) -> list[dict[str, Any]]:
    """What a shop has otherwise on another plan, row by row, before and after; `lost`: it has less then, or pays more."""
    found = []
    bounds = (
        (_("SKUs on the shelf"), old.max_listings, new.max_listings),
        (_("People who may log in"), old.max_staff, new.max_staff),
        (_("Products of your own"), old.max_own_products, new.max_own_products),
    )
    for label, before, after in bounds:
        less = after is not None and (before is None or after < before)
        found.append((label, _bound(before), _bound(after), less))
    switches = (
        (_("API"), old.api_allowed, new.api_allowed),
        (_("Domain of your own"), old.own_domain_allowed, new.own_domain_allowed),
    )
    for label, had, has in switches:
        found.append((label, _included(had), _included(has), had and not has))
    more = new.platform_fee_bps > old.platform_fee_bps
    found.append((_("Platform fee"), f"{old.platform_fee_bps / 100:g} %", f"{new.platform_fee_bps / 100:g} %", more))
    later = new.settlement_days > old.settlement_days
    found.append((pgettext("money", "Settlement"), f"T+{old.settlement_days}", f"T+{new.settlement_days}", later))
    return [
        {"label": label, "before": before, "after": after, "lost": lost}
        for label, before, after, lost in found
        if before != after
    ]


def _bound(bound: int | None) -> str:
    return _("no limit") if bound is None else f"{bound:,}"


def _included(allowed: bool) -> str:
    return _("included") if allowed else _("not in this plan")


def usage_rows(shelf: Limit, staff: Limit, plan: Plan) -> list[dict[str, Any]]:
    """How much of the plan is in use; `bound` None has no bar."""
    rows: list[dict[str, Any]] = []
    for label, limit in ((_("SKUs on the shelf"), shelf), (_("People who may log in"), staff)):
        text = f"{limit.used:,} / {limit.bound:,}" if limit.bound is not None else f"{limit.used:,} · {_('no limit')}"
        tone = "danger" if limit.full else "warning" if limit.near else ""
        rows.append({"label": label, "text": text, "used": limit.used, "bound": limit.bound, "tone": tone})
    for label, allowed in ((_("API"), plan.api_allowed), (_("Domain of your own"), plan.own_domain_allowed)):
        rows.append({"label": label, "text": _included(allowed), "bound": None})
    return rows


_DUE_ALL_THE_SAME = {
    "SUSPENDED": gettext_lazy("It can be paid. Your shop stays suspended until the main station resumes it."),
    "CLOSING": gettext_lazy(
        "It can be paid. Your shop is being closed: it takes no orders, and nothing more is charged. Should you keep it, it is "
        "as unpaid as it was."
    ),
    "CLOSED": gettext_lazy("It can still be paid. Your shop is closed for good, and nothing more is charged."),
}


def notice_of(seen: Overview, state: str, standing: str) -> dict[str, str] | None:
    """What has to be known and done before all else, in the shop's state and standing; None when all is well."""
    row = seen.subscription
    if state in _DUE_ALL_THE_SAME and seen.due_minor:
        return {
            "tone": "warning", "deed": "pay", "title": _("%(sum)s is due") % {"sum": format_minor(seen.due_minor)},
            "text": str(_DUE_ALL_THE_SAME[state]),
        }  # fmt: skip
    if row is None or state in ("CLOSING", "CLOSED"):
        return None
    if row.state == SubscriptionState.ENDED:
        return {
            "tone": "danger", "deed": "plan", "title": _("Your subscription has ended and the storefront is closed"),
            "text": _("Nothing is lost. Choose a plan, and the shop is open again as soon as the main station resumes it.")
            if state == "SUSPENDED"
            else _("Nothing is lost. Choose a plan, and the shop is open again at once."),
        }  # fmt: skip
    if row.state != SubscriptionState.PAST_DUE or row.read_only_at is None or row.shuts_at is None:
        return None
    due = format_minor(seen.due_minor)
    if standing == Standing.SHUT:
        title, text = (
            _("%(sum)s is due: the storefront is closed"),
            _("Pay, and it is open again at once; nothing is lost."),
        )
    elif standing == Standing.READ_ONLY:
        title = _("%(sum)s is due: the panel can only be looked at")
        text = _("Buyers can still order. On %(shut)s the storefront closes. Pay, and everything works again at once.")
    else:
        title = _("%(sum)s is due")
        text = _("From %(read_only)s the panel can only be looked at, and on %(shut)s the storefront closes.")
    days = {"read_only": day(row.read_only_at), "shut": day(row.shuts_at)}
    return {
        "tone": "warning" if standing in (Standing.GOOD, Standing.REMINDED) else "danger", "deed": "pay",
        "title": title % {"sum": due}, "text": text % days,
    }  # fmt: skip
