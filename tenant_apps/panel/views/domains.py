"""The shop's own domains: which records to set, how they stand, which is the first address."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext
from django.views.decorators.http import require_http_methods, require_POST

from kameng.accounts import catalogue
from kameng.db.context import in_main
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.lib.words import worded
from kameng.web.actors import actor
from tenant_apps.panel.access import screen
from tenant_apps.panel.forms.lifecycle import DomainForm
from tenant_apps.panel.page import page, refuse, say
from tenant_apps.panel.selectors import plan
from tenants import domains
from tenants.models import DomainClaim
from tenants.states import ClaimState


@require_http_methods(["GET", "POST"])
@screen(catalogue.DOMAINS_MANAGE)
def index(request: HttpRequest) -> HttpResponseBase:
    """The list, and the form that adds one."""
    tenant: Any = request.tenant  # type: ignore[attr-defined]
    form = DomainForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        now = clock.utc_now()
        try:
            with in_main():
                made = domains.add(
                    substation_id=tenant.id, domain=form.cleaned_data["domain"], by=actor(request), now=now
                )
                domains.ask_check(substation_id=tenant.id, claim_id=made.pk, now=now)
        except DomainError as error:
            refuse(form, error)
        else:
            told = gettext_lazy("%(domain)s is in your list. Now set its records where you bought it.")
            say(request, worded(told, domain=made.host))
            return redirect("panel:domains")
    with in_main():
        rows = [_row(claim) for claim in domains.claims_of(tenant.id)]
    return page(
        request, "panel/domains.html", here="domains", heading=pgettext("menu", "Domains"), form=form, rows=rows,
        own_host=tenant.host, scheme=settings.SCHEME, authority=settings.AUTHORITY, sends_on=tenant.sends_on,
        has_own_domain=plan.has_own_domain(), grace_days=domains.GRACE.days,
        own_is_first=not any(row["primary"] for row in rows), checking=any(row["checking"] for row in rows),
        status=422 if form.is_bound and form.errors else 200,
    )  # fmt: skip


def _row(claim: DomainClaim) -> dict[str, Any]:
    failing = claim.state == ClaimState.FAILING
    leaving = failing and claim.problem == domains.NOT_IN_PLAN  # Its records may well stand.
    return {
        "claim": claim, "records": domains.records(claim), "failing": failing, "leaving": leaving,
        "problem": "" if leaving else domains.PROBLEMS.get(claim.problem, ""),
        "state_words": _("Connected, but not in the plan") if leaving else claim.get_state_display(),
        "checking": claim.asked_at is not None, "primary": getattr(claim, "primary", False),
        "connected": claim.state in (ClaimState.VERIFIED, ClaimState.FAILING),
        "verified": claim.state == ClaimState.VERIFIED,
        "until": claim.failing_since + domains.GRACE if claim.failing_since else None,
    }  # fmt: skip


@require_POST
@screen(catalogue.DOMAINS_MANAGE)
def check(request: HttpRequest, pk: int) -> HttpResponse:
    with in_main():
        domains.ask_check(substation_id=request.tenant.id, claim_id=pk, now=clock.utc_now())  # type: ignore[attr-defined]
    say(request, _("The name servers are being asked. This page shows the answer by itself."))
    return redirect("panel:domains")


@require_POST
@screen(catalogue.DOMAINS_MANAGE)
def first(request: HttpRequest) -> HttpResponse:
    """Which address is the first one, and whether the others lead to it."""
    chosen = request.POST.get("claim", "")
    with in_main():
        domains.make_primary(
            substation_id=request.tenant.id, claim_id=int(chosen) if chosen.isascii() and chosen.isdigit() else None,  # type: ignore[attr-defined]
            sends_on=request.POST.get("sends_on") == "1", by=actor(request), now=clock.utc_now(),
        )  # fmt: skip
    say(request, _("Saved. It holds within a minute."))
    return redirect("panel:domains")


@require_POST
@screen(catalogue.DOMAINS_MANAGE)
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    with in_main():
        name = domains.remove(substation_id=request.tenant.id, claim_id=pk, by=actor(request), now=clock.utc_now())  # type: ignore[attr-defined]
    say(request, worded(gettext_lazy("%(domain)s is removed. It leads nowhere from now on."), domain=name))
    return redirect("panel:domains")
