"""`Idempotency-Key`: a request that creates may be sent again, and creates once.

The answers that are kept can hold a buyer's secrets (an order's token is shown once and stands in no other table), so
they are sealed with the installation's key ring: a copy of the table opens nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache, wraps
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.accounts.models import IdempotencyRecord
from kameng.lib import clock
from kameng.lib.crypto import KeyRing, Sealed
from kameng.lib.errors import Invalid, Refused
from kameng.web.actors import client_ip

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
MAX_KEY = 120
# Headers with the secret of an order or a signup: who holds one is its buyer or its applicant.
SECRET_HEADERS = ("X-Order-Token", "X-Signup-Token")
# How long an answer is kept at least. Each new key takes a few older ones away, so the table needs no sweep.
KEPT = timedelta(hours=24)
SWEPT_AT_ONCE = 20
# A request that opens its own transactions calls an outside service for some seconds at most. What is older was cut
# off, and may be done again: the services behind such endpoints are safe to repeat.
CUT_OFF = timedelta(seconds=60)
Handler = Callable[..., Response]


class KeyUsed(Refused):
    """The key stands for another request."""

    code = "idempotency_conflict"


class StillRunning(Refused):
    """The first request with this key has not been answered yet."""

    code = "idempotency_in_progress"


def idempotent(handler: Handler) -> Handler:
    """For a method that creates: the same key and body get the first answer again, another body gets 409.

    Only successes are kept: a refusal changed nothing, so the same key may try again.
    Race: two requests with one key at once. The unique key makes the second wait for the first's commit, and then find
    its answer. Where the view opens its own transactions, the second is told that the first is still running.
    """

    @wraps(handler)
    def wrapped(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        if not key or len(key) > MAX_KEY or not key.isprintable():
            raise Invalid(_("An idempotency key has 1 to 120 printable characters."), field=HEADER)
        answer = _in_steps if getattr(view, "owns_transactions", False) else _at_once
        return answer(request, key, lambda: handler(view, request, *args, **kwargs))

    return wrapped


def _at_once(request: Request, key: str, work: Callable[[], Response]) -> Response:
    """Record and work in one transaction: they stand or fall together."""
    with transaction.atomic():
        record, fresh = _claim(request, key)
        if not fresh:
            return _replayed(record)
        response = work()
        _keep(record, response)
        return response


def _in_steps(request: Request, key: str, work: Callable[[], Response]) -> Response:
    """The claim is committed first, for the work may not stand in a transaction."""
    now = clock.utc_now()
    with transaction.atomic():
        record, fresh = _claim(request, key)
        if not fresh and record.status is not None:
            return _replayed(record)
        if not fresh and not _taken_over(record, now):
            raise StillRunning(
                _("The first request with this idempotency key is still running. Ask again in a moment."),
                details={"retry_after_s": 2},
            )
    try:
        response = work()
    except BaseException:
        with transaction.atomic():
            record.delete()
        raise
    with transaction.atomic():
        _keep(record, response)
    return response


def _taken_over(record: IdempotencyRecord, now: datetime) -> bool:
    """Whether this request goes on where one was cut off. The guarded update lets one of several do so."""
    cut_off = IdempotencyRecord.objects.filter(pk=record.pk, status__isnull=True, created_at__lt=now - CUT_OFF)
    return cut_off.update(created_at=now) == 1


def _claim(request: Request, key: str) -> tuple[IdempotencyRecord, bool]:
    who = _who(request)
    body = json.dumps(request.data, sort_keys=True, default=str)
    digest = hashlib.sha256(f"{request.method} {request.path}\n{body}".encode()).digest()
    try:
        with transaction.atomic():
            record = IdempotencyRecord.objects.create(actor=who, key=key, digest=digest)
        _sweep()
        return record, True
    except IntegrityError:
        record = IdempotencyRecord.objects.get(actor=who, key=key)
    if bytes(record.digest) != digest:
        raise KeyUsed(_("This idempotency key was used for another request. Nothing was changed."), field=HEADER)
    return record, False


def _sweep() -> None:
    """Take away the oldest answers whose time is over. Race: two requests sweep different rows, and neither waits.

    By the key first: ids go up with time, and a condition on the time alone would read the whole table for nothing.
    """
    oldest = IdempotencyRecord.objects.order_by("pk").values("pk")[:SWEPT_AT_ONCE]
    over = IdempotencyRecord.objects.filter(pk__in=oldest, created_at__lt=clock.utc_now() - KEPT)
    found = list(over.select_for_update(skip_locked=True).values_list("pk", flat=True))
    if found:
        IdempotencyRecord.objects.filter(pk__in=found).delete()


def _who(request: Request) -> str:
    """Whose keys these are: two tokens, two people, two buyers or two addresses never meet.

    A buyer is known by the order's secret, not by the address: it changes when a phone leaves the house, and many
    share one. So a key alone gets nobody the answer that was meant for who holds the secret.
    """
    if request.auth is not None:
        return f"token:{request.auth.pk}"
    user: Any = request.user
    if user.is_authenticated:
        return f"user:{user.pk}"
    secret = next((request.headers[name] for name in SECRET_HEADERS if request.headers.get(name)), "")
    if secret:
        return f"secret:{hashlib.sha256(secret.encode('utf-8', 'surrogateescape')).hexdigest()}"
    return f"ip:{client_ip(request)}"


def _keep(record: IdempotencyRecord, response: Response) -> None:
    if response.status_code >= 300:
        record.delete()
        return
    sealed = _ring().seal_secret(json.dumps(response.data, default=str), _bound_to(record))
    record.status = response.status_code
    record.body = {"key": sealed.key_version, "blob": base64.b64encode(sealed.blob).decode()}
    record.save(update_fields=["status", "body"])


def _replayed(record: IdempotencyRecord) -> Response:
    assert record.body is not None, "A record with an answer has its body."
    sealed = Sealed(record.body["key"], base64.b64decode(record.body["blob"]))
    response = Response(json.loads(_ring().open_secret(sealed, _bound_to(record))), status=record.status or 200)
    response[REPLAYED] = "true"
    return response


def _bound_to(record: IdempotencyRecord) -> bytes:
    """An answer that is copied to another record can't be opened there."""
    return f"idempotency:{record.actor}:{record.key}".encode()


def _ring() -> KeyRing:
    if not settings.CODE_KEYS:
        raise ImproperlyConfigured("KAMENG_CODE_KEYS is not set: answers can't be kept for their repeats.")
    return _parsed(settings.CODE_KEYS)


@lru_cache(maxsize=4)
def _parsed(text: str) -> KeyRing:
    return KeyRing.from_json(text)
