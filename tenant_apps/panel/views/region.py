"""The shop's region: what it holds until when, and who of it waits for an answer.

Read and written in the main station's scope, by the shop's own id: nobody else's grants and offers can be asked for.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import audit, catalogue
from kameng.db.context import in_main
from kameng.lib import clock
from kameng.web.actors import actor
from shared_apps.regions import selectors, services
from shared_apps.regions.errors import LeadRefused
from shared_apps.regions.states import LeadState
from tenant_apps.panel.access import screen
from tenant_apps.panel.lists import paged
from tenant_apps.panel.page import page, say


def _shop_id(request: HttpRequest) -> int:
    return int(request.tenant.id)  # type: ignore[attr-defined]


@require_GET
@screen(catalogue.REGION_ANSWER)
def index(request: HttpRequest) -> HttpResponseBase:
    now, shop_id = clock.utc_now(), _shop_id(request)
    with in_main():
        held = list(selectors.grants(substation_id=shop_id).filter(ends_at__gt=now).order_by("starts_at", "pk"))
        offers = [_offer(row) for row in selectors.offers_to(shop_id, at=now)]
        found = paged(request, selectors.answered_by(shop_id))
        rows = [_offer(row) for row in found.object_list]
    found.object_list = rows
    return page(
        request, "panel/region.html", here="region", heading=pgettext("menu", "My region"), held=held, offers=offers,
        rows=found, now=now,
    )  # fmt: skip


def _offer(row: Any) -> dict[str, Any]:
    """What the holder sees of a lead: the contact of what they took, and of nothing else."""
    taken = row.state == LeadState.TAKEN
    return {
        "id": row.public_id, "kind": row.kind, "kind_words": row.get_kind_display(), "city": row.region.label,
        "state": row.state, "state_words": row.get_state_display(), "offered_at": row.offered_at,
        "lapses_at": row.lapses_at, "answered_at": row.answered_at, "taken": taken,
        "contact": selectors.contact(row) if taken else None, "message": row.message if taken else "",
        "forgotten": row.forgotten_at is not None, "shop": row.substation if taken else None,
    }  # fmt: skip


@require_POST
@screen(catalogue.REGION_ANSWER)
def take(request: HttpRequest, public_id: str) -> HttpResponse:
    """Take an offer: the contact is shown from then on."""
    return _answer(request, public_id, services.take, "taken", _("It is yours. The contact stands below."))


@require_POST
@screen(catalogue.REGION_ANSWER)
def decline(request: HttpRequest, public_id: str) -> HttpResponse:
    """Let an offer go back to the main station."""
    return _answer(request, public_id, services.decline, "declined", _("It goes back to the main station."))


def _answer(request: HttpRequest, public_id: str, deed: Any, done: str, told: str) -> HttpResponse:
    by, now = actor(request), clock.utc_now()
    try:
        with in_main():
            deed(public_id=public_id, substation_id=_shop_id(request), by=by, now=now)
    except LeadRefused as refusal:
        messages.error(request, str(refusal))
    else:
        audit.record(action=f"panel.offer.{done}", by=by, target=public_id, at=now)  # In the shop's own trail, too.
        say(request, told)
    return redirect("panel:region")
