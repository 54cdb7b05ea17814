"""The words of an invoice's lines, in both languages at once: whoever reads it later may read either."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _

from shared_apps.billing.types import Line
from tenants.models import Plan
from tenants.states import BillingInterval


def zone() -> ZoneInfo:
    """The network's own zone: whose midnight the days on an invoice begin at."""
    return ZoneInfo(settings.TIME_ZONE)


def opening_line(plan: Plan) -> Line:
    return _both("opening", plan, plan.opening_fee_minor, lambda name: _("Opening fee, %(plan)s") % {"plan": name})


def opening_difference_line(plan: Plan, amount_minor: int) -> Line:
    return _both("opening", plan, amount_minor, lambda name: _("Opening fee, difference to %(plan)s") % {"plan": name})


def deposit_line(plan: Plan, amount_minor: int) -> Line:
    return _both(
        "deposit", plan, amount_minor,
        lambda name: _("Deposit, %(plan)s; given back when the shop closes") % {"plan": name},
    )  # fmt: skip


def period_line(plan: Plan, interval: str, amount_minor: int, start: datetime, end: datetime) -> Line:
    def text(name: str) -> str:
        words = (
            _("%(plan)s, yearly, %(days)s") if interval == BillingInterval.YEAR else _("%(plan)s, monthly, %(days)s")
        )
        return words % {"plan": name, "days": days(start, end)}

    return _both("period", plan, amount_minor, text, start, end)


def unused_line(plan: Plan, amount_minor: int, at: datetime, end: datetime) -> Line:
    def text(name: str) -> str:
        return _("%(plan)s, unused from %(days)s") % {"plan": name, "days": days(at, end)}

    return _both("credit", plan, -amount_minor, text, at, end)


def rest_line(plan: Plan, amount_minor: int, at: datetime, end: datetime) -> Line:
    def text(name: str) -> str:
        return _("%(plan)s, from %(days)s") % {"plan": name, "days": days(at, end)}

    return _both("rest", plan, amount_minor, text, at, end)


def days(start: datetime, end: datetime) -> str:
    """2026-03-01 – 2026-03-31: the first day and the last one that is paid for."""
    first, last = start.astimezone(zone()), end.astimezone(zone())
    return f"{first:%Y-%m-%d} – {last:%Y-%m-%d}"


def _both(
    kind: str, plan: Plan, amount_minor: int, text: Callable[[str], str], start: datetime | None = None,
    end: datetime | None = None,
) -> Line:  # fmt: skip
    texts = {}
    for language, name in (("zh-hans", plan.name_zh), ("en", plan.name_en)):
        with translation.override(language):
            texts[language] = text(name)[:200]
    return Line(kind, texts["zh-hans"], texts["en"], amount_minor, start, end)
