"""One's own log-in: the second step, browsers, and what was tried."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from kameng.accounts import views_security
from kameng.accounts.access import own_account
from shared_apps.console import words
from shared_apps.console.page import page


@require_GET
@own_account
@never_cache
def account(request: HttpRequest) -> HttpResponseBase:
    user: Any = request.user
    shown = views_security.about(request, user)
    for one in shown["history"]:
        one["words"] = words.action_words(one["record"].action)
    return page(request, "console/own_account.html", here="", heading=_("Your log-in"), **shown)
