"""What somebody sees who tried too many passwords."""

from __future__ import annotations

import hashlib
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from kameng.accounts import entering
from kameng.lib.errors import TooMany
from kameng.web import errors

COOL_OFF_S = 15 * 60


def locked_out(request: HttpRequest, response: Any = None, credentials: Any = None, *_args: Any) -> HttpResponse:
    """AXES_LOCKOUT_CALLABLE. The pause stands in the history of the log-in that was tried, once."""
    email = request.POST.get("email", "")
    mark = hashlib.sha256(email.strip().lower().encode()).hexdigest()[:24]
    if email and cache.add(f"accounts:locked:{mark}", 1, COOL_OFF_S):
        entering.note_failure(request, email, locked=True)
    return errors.refusal(
        request,
        TooMany(
            _("Too many wrong passwords. Log-in from here is closed for 15 minutes; nothing else changed."),
            code="locked_out",
            details={"retry_after_s": COOL_OFF_S},
        ),
    )
