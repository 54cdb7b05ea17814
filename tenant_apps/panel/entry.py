"""The owner's first steps into the new panel: a pass from the main site, good once."""

from __future__ import annotations

from django.core import signing
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from kameng.accounts import entering
from kameng.accounts.models import User
from kameng.db.context import require_tenant
from kameng.lib.errors import Forbidden
from tenants.views import ENTER_SALT

PASS_LIFE_S = 120


def enter(request: HttpRequest) -> HttpResponse:
    """Log the owner in and go to the panel. A pass of another shop, a used or an old one opens nothing.

    The pass arrives by a GET from another host; a page that posts it on keeps reading requests from writing.
    """
    if request.method != "POST":
        from django.shortcuts import render

        return render(request, "panel/enter.html", {"entry": request.GET.get("pass", "")})
    refused = Forbidden(
        _("This link was used or is too old. Log in with your email and password."), details={"log_in": True}
    )
    entry = request.POST.get("pass", "")
    try:
        claim = signing.loads(entry, salt=ENTER_SALT, max_age=PASS_LIFE_S)
    except signing.BadSignature as error:
        raise refused from error
    # `add` writes only where nothing is, so that a pass opens once.
    if claim["schema"] != require_tenant() or not cache.add(f"enter:{entry[-40:]}", 1, PASS_LIFE_S):
        raise refused
    user = User.objects.filter(email=claim["email"], is_active=True).first()
    if user is None:
        raise refused
    return entering.come_in(request, user, "/panel/", action="panel.owner.entered")
