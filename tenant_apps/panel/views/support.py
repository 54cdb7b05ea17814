"""The main station's support in this panel: the way in and out, and what the owner sees of it."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kameng.accounts import catalogue, support
from kameng.lib import clock
from kameng.web.actors import actor
from tenant_apps.panel.access import screen
from tenant_apps.panel.page import page, say

SHOWN = 100  # Of the visits, the latest; all of them stand in the shop's activity.


@require_http_methods(["GET", "POST"])
@never_cache
def enter(request: HttpRequest) -> HttpResponse:
    """Turn a pass of the console's into a visit. It arrives by a GET from another host; a page posts it on, so that
    reading requests write nothing and a link that is only looked at is not used up."""
    if request.method != "POST":
        return render(request, "panel/support_enter.html", {"entry": request.GET.get("support_pass", "")})
    support.enter(request, request.POST.get("support_pass", ""), now=clock.utc_now())
    return redirect("panel:overview")


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """End one's own visit, and go back to where it began."""
    if not getattr(request.user, "is_support", False):
        return redirect("panel:overview")
    substation = support.leave(request, now=clock.utc_now())
    base = f"{settings.SCHEME}://{settings.BASE_DOMAIN}{settings.AUTHORITY}"
    return redirect(f"{base}/console/substations/{substation}/")


@require_GET
@screen(catalogue.SUPPORT_VISITS)
def visits(request: HttpRequest) -> HttpResponseBase:
    """Who of the main station was here, why and for how long."""
    now = clock.utc_now()
    rows = [(visit, visit.lasts(now)) for visit in support.visits(SHOWN)]
    return page(request, "panel/support.html", here="support", heading=pgettext("menu", "Support visits"), rows=rows)


@require_POST
@screen(catalogue.SUPPORT_VISITS)
def show_out(request: HttpRequest) -> HttpResponse:
    """End everybody's visit, at once."""
    now = clock.utc_now()
    for visit in support.present(now):
        support.show_out(visit.access, by=actor(request), now=now)
    say(request, _("The main station's support was shown out. It sees nothing here any more."))
    return redirect("panel:support")
