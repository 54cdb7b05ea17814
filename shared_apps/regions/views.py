"""The main site's page of one's own city: leave a contact, and whoever looks after the city answers."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.http import require_GET, require_http_methods

from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import client_ip
from shared_apps.regions import selectors, services
from shared_apps.regions.forms import LeadForm
from tenants import admission
from tenants.views import site_nav

PURPOSE = "lead"  # Of the proof of work: a signup's is none for this form.


@require_GET
def find(request: HttpRequest) -> HttpResponse:
    """Cities that may be meant, while somebody types. Says nothing of who holds them."""
    rows = selectors.suggest(request.GET.get("q", ""))
    return JsonResponse({"found": [{"value": row.label, "note": row.code} for row in rows]})


@require_http_methods(["GET", "HEAD", "POST"])
def your_city(request: HttpRequest) -> HttpResponse:
    """The form, and the thanks. What was typed stays through every refusal."""
    now = clock.utc_now()
    form = LeadForm(request.POST or None, initial={"region": request.GET.get("city", "")[:120]})
    if request.method == "POST" and form.is_valid():
        try:
            admission.check_proof(
                challenge=request.POST.get("pow_challenge", ""), nonce=request.POST.get("pow_nonce", ""), now=now,
                purpose=PURPOSE,
            )  # fmt: skip
            admission.count_question(ip=client_ip(request))
            services.ask(**form.cleaned_data, language=get_language() or settings.LANGUAGE_CODE, now=now)
        except DomainError as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
        else:
            return redirect(f"{reverse('regions:your_city')}?sent=1")
    context = {
        "form": form, "site_nav": site_nav(request), "sent": "sent" in request.GET and not form.is_bound,
        "challenge": admission.challenge(now=now, purpose=PURPOSE), "pow_bits": settings.POW_BITS,
        "cities": selectors.city_labels(), "days": settings.LEAD_RETENTION_DAYS,
    }  # fmt: skip
    return render(request, "regions/your_city.html", context, status=422 if form.is_bound else 200)
