"""Sign-ups of the tests: begun in code or through the form, and the code that is mailed."""

from __future__ import annotations

import itertools
import os
import re
from typing import Any

from django.core import mail
from django.test import Client

from kameng.db.context import in_main
from kameng.lib import pow
from tenants import signup
from tenants.models import Signup, Substation

_serial = itertools.count(1)


PASSWORD = "correct horse battery staple"


def unused_slug() -> str:
    return f"night-market-{next(_serial)}-{os.getpid()}"


def begin(**changes: Any) -> signup.Started:
    fields = {
        "name": "Night Market",
        "slug": unused_slug(),
        "plan_code": "basic",
        "email": "nina@example.com",
        "password": PASSWORD,
        "owner_name": "Nina",
        "language": "en",
    }
    return signup.begin(**{**fields, **changes})


def mailed_code() -> str:
    found = re.search(r"\b(\d{6})\b", mail.outbox[-1].subject)
    assert found
    return found[1]


def counts() -> tuple[int, int]:
    with in_main():
        return Signup.objects.count(), Substation.objects.count()


def verified() -> Signup:
    started = begin()
    return signup.verify(started.signup, mailed_code())


def apply(client: Client, slug: str) -> Any:
    """The form's answer: it leads to where the mailed code is asked for."""
    page = client.get("/signup/?lang=en", HTTP_HOST="localhost")
    challenge = page.context["challenge"]
    fields = {
        "name": "Night Market", "slug": slug, "plan": "basic", "email": "nina@example.com", "password": PASSWORD,
        "pow_challenge": challenge, "pow_nonce": pow.solve(challenge),
    }  # fmt: skip
    posted = client.post("/signup/", fields, HTTP_HOST="localhost")
    assert posted.status_code == 302, posted.content.decode()
    return posted
