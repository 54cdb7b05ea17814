"""Times as people say them, with the exact one kept at hand."""

from __future__ import annotations

from datetime import date, datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from kameng.lib import clock

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
RELATIVE_DAYS = 7  # Older than a week, the date says more than a count of days.


def exact(moment: datetime) -> str:
    """ "2026-03-05 14:07:09", in the active zone (the middleware activates the shop's)."""
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S")


def relative(moment: datetime, *, now: datetime) -> str:
    """ "3 min ago", "in 2 h", or the date when it is more than a week away."""
    seconds = int((moment - now).total_seconds())
    size = abs(seconds)
    if size < MINUTE_S:
        return gettext("just now")
    if size >= RELATIVE_DAYS * DAY_S:
        return day(timezone.localtime(moment).date(), today=timezone.localtime(now).date())
    unit_s, past, future = (
        (MINUTE_S, gettext("%(count)s min ago"), gettext("in %(count)s min"))
        if size < HOUR_S
        else (HOUR_S, gettext("%(count)s h ago"), gettext("in %(count)s h"))
        if size < DAY_S
        else (DAY_S, gettext("%(count)s d ago"), gettext("in %(count)s d"))
    )
    return (past if seconds < 0 else future) % {"count": size // unit_s}


def day(value: date, *, today: date) -> str:
    """ "5 Mar", with the year where it is another one."""
    return date_format(value, gettext("j M") if value.year == today.year else gettext("j M Y"))


def time_tag(moment: datetime, *, style: str = "relative") -> SafeString:
    """A <time> element. Styles: "relative" (exact on hover), "exact" (to the minute), "date"."""
    local = timezone.localtime(moment)
    full = exact(moment)
    if style == "exact":
        words = local.strftime("%Y-%m-%d %H:%M")
    elif style == "date":
        words = local.strftime("%Y-%m-%d")
    elif style == "relative":
        words = relative(moment, now=clock.utc_now())
    else:
        raise ValueError(style)
    live = " data-kameng-when" if style == "relative" else ""
    return format_html(
        '<time class="k-time" datetime="{}" title="{}"{}>{}</time>', local.isoformat(), full, live, words
    )
