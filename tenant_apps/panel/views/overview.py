"""The first screen: how is today beside yesterday, what needs me, what changed; and the first days' steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import catalogue
from kameng.accounts.access import may
from kameng.accounts.models import AuditRecord
from kameng.lib import clock
from kameng.lib.errors import Missing
from kameng.lib.words import Sentence, worded
from kameng.web.actors import actor
from tenant_apps.panel import words
from tenant_apps.panel.access import screen
from tenant_apps.panel.details import details_words
from tenant_apps.panel.page import page
from tenant_apps.panel.selectors import activity, orders, overview, people
from tenant_apps.panel.selectors import pricelist as prices
from tenant_apps.shop import selectors as shops
from tenant_apps.shop import services as shop_services
from tenant_apps.shop.provisioning import DEFAULT_ACCENT

RECENT = 8
BY_HAND = ("look", "share", "dismissed")  # Steps that a person says are done; the others tick themselves off.
STEP_WORDS: dict[str, tuple[Sentence, Sentence, Sentence]] = {
    "look": (
        gettext_lazy("Look at your shop"),
        gettext_lazy("See it as your buyers do."),
        gettext_lazy("Open my shop"),
    ),
    "prices": (
        gettext_lazy("Set your prices"),
        gettext_lazy("A new shop asks 8% on top of the supply price. Make it yours."),
        gettext_lazy("Set prices"),
    ),
    "notice": (
        gettext_lazy("Write a notice"),
        gettext_lazy("How fast you deliver, when you are there, how to reach you."),
        gettext_lazy("Write it"),
    ),
    "face": (
        gettext_lazy("Choose logo and colour"),
        gettext_lazy("So that people know you again."),
        gettext_lazy("Choose them"),
    ),
    "share": (
        gettext_lazy("Share the shop"),
        gettext_lazy("Send the address to a group or put up the QR code."),
        gettext_lazy("Share it"),
    ),
    "sale": (gettext_lazy("The first sale"), gettext_lazy("It ticks itself off."), ""),
}


@dataclass(frozen=True)
class Todo:
    """Something that needs a person."""

    icon: str
    tone: str
    title: Sentence
    text: Sentence
    url: str


@require_GET
@screen(catalogue.OWN, change=catalogue.SETTINGS_CHANGE)
def index(request: HttpRequest) -> HttpResponse:
    now = clock.utc_now()
    shop = shops.shop_settings()
    steps = [] if shop.first_steps.get("dismissed") else overview.first_steps(shop, default_accent=DEFAULT_ACCENT)
    recent = list(
        people.audit_records(of_people=may(request, catalogue.PEOPLE_MANAGE))[:RECENT]
        if may(request, catalogue.ACTIVITY_LOOK)
        else []
    )
    context: dict[str, Any] = {
        "today": overview.today(now),
        "todos": _todos(now, open_shop=shop.open),
        "events": [_event(record, what) for record, what in zip(recent, activity.about(recent), strict=True)],
        "shared": bool(shop.first_steps.get("share")),
        "steps": [_step_row(step) for step in steps],
        "steps_done": sum(step.done for step in steps),
        "all_done": bool(steps) and all(step.done for step in steps),
    }
    return page(request, "panel/overview.html", here="overview", heading=_("Overview"), **context)


def _todos(now: datetime, *, open_shop: bool) -> list[Todo]:
    found: list[Todo] = []
    queue = orders.queue()
    if queue.lines:
        found.append(
            Todo(
                "inbox", "warning", worded(gettext_lazy("%(count)s to deliver by hand"), count=queue.lines),
                gettext_lazy("Paid, and waiting for you."), reverse("panel:queue"),
            )
        )  # fmt: skip
    losing = len(prices.pricelist(now).ids_with(prices.LOSS))
    if losing:
        found.append(
            Todo(
                "alert", "danger", worded(gettext_lazy("%(count)s SKUs sell below cost and fees"), count=f"{losing:,}"),
                gettext_lazy("The checkout refuses them until the price covers the cost."),
                f"{reverse('panel:listings')}?state=loss",
            )
        )  # fmt: skip
    out = overview.sold_out_on_shelf()
    if out:
        found.append(
            Todo(
                "box", "neutral", worded(gettext_lazy("%(count)s SKUs are sold out"), count=f"{out:,}"),
                gettext_lazy("On the shelf, and not to be bought until the main station restocks."),
                f"{reverse('panel:listings')}?state=out",
            )
        )  # fmt: skip
    if not open_shop:
        found.append(
            Todo(
                "shop", "warning", gettext_lazy("Your shop is closed"),
                gettext_lazy("Buyers can't order. Open it in the settings."), reverse("panel:settings"),
            )
        )  # fmt: skip
    return found


def _event(record: AuditRecord, what: activity.About) -> dict[str, Any]:
    return {
        "at": record.at, "by": words.actor_words(record.actor_kind, record.actor_label),
        "title": words.action_words(record.action), "url": what.url, "tone": "neutral", "icon": "",
        "text": " · ".join(part for part in (what.name, details_words(record.action, record.details)) if part),
    }  # fmt: skip


def _step_row(step: overview.Step) -> dict[str, Any]:
    title, text, deed = STEP_WORDS[step.key]
    urls = {
        "prices": reverse("panel:pricing"),
        "notice": reverse("panel:settings") + "#notice",
        "face": reverse("panel:settings") + "#face",
    }
    return {
        "key": step.key,
        "done": step.done,
        "title": title,
        "text": text,
        "deed": deed,
        "url": urls.get(step.key, ""),
    }


@require_POST
@screen(catalogue.SETTINGS_CHANGE)
def tick(request: HttpRequest, step: str) -> HttpResponse:
    """A step that a person says is done; "look" goes on to the shop, "dismissed" puts the list away."""
    if step not in BY_HAND:
        raise Missing(_("There is no such step."))
    shop_services.tick_first_step(step=step, by=actor(request), now=clock.utc_now())
    return redirect("/" if step == "look" else "panel:overview")
