"""API tokens: made once, shown once, kept as a digest, good for the schema they stand in and nowhere else."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from kameng.accounts import audit, catalogue
from kameng.accounts.models import ApiToken, User
from kameng.accounts.types import Actor
from kameng.db.context import current_schema, current_tenant, pointed_at
from kameng.db.scopes import PUBLIC_SCHEMA
from kameng.lib import clock
from kameng.lib.errors import Invalid, Missing

# What a token may be given; each host offers its own part. What each needs stands in `catalogue.SCOPE_NEEDS`.
SHOP_SCOPES = ("listings:read", "listings:write", "orders:read", "orders:write", "statement:read")
MAIN_SCOPES = (
    "library:read",
    "library:write",
    "stock:read",
    "stock:write",
    "substations:read",
    "terms:read",
    "terms:write",
    "sync:read",
    "sync:write",
    "cases:read",
    "billing:read",
    "regions:read",
    "regions:write",
    "leads:read",
)
USED_EVERY = timedelta(minutes=1)  # How finely `used_at` is kept, so that reading does not write each time.


def create(
    *, user: User, name: str, scopes: list[str], by: Actor, now: datetime, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """A token and its secret. Raises Invalid for an empty name or a scope that does not exist on this host."""
    by.must(catalogue.TOKENS_MANAGE)
    unknown = set(scopes) - {*(MAIN_SCOPES if current_schema() == PUBLIC_SCHEMA else SHOP_SCOPES)}
    if unknown or not scopes:
        raise Invalid(_("Choose what the token may do."), field="scopes")
    if not name.strip():
        raise Invalid(_("Name the token, so that you know it again."), field="name")
    secret = f"kmg_{secrets.token_urlsafe(32)}"
    token = ApiToken.objects.create(
        name=name.strip()[:80],
        prefix=secret[:10],
        digest=digest(secret),
        scopes=sorted(scopes),
        user=user,
        expires_at=expires_at,
    )
    audit.record(action="accounts.token.created", by=by, target=token.prefix, at=now, scopes=sorted(scopes))
    return token, secret


def revoke(*, token_id: int, by: Actor, now: datetime) -> None:
    """End a token at once. Raises Missing."""
    by.must(catalogue.TOKENS_MANAGE)
    token = ApiToken.objects.filter(pk=token_id).first()
    if token is None:
        raise Missing(_("There is no such token."))
    if token.revoked_at is None:
        token.revoked_at = now
        token.save(update_fields=["revoked_at"])
        audit.record(action="accounts.token.revoked", by=by, target=token.prefix, at=now)


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def find(secret: str, now: datetime | None = None) -> ApiToken | None:
    """The live token behind a secret, with its user, or None."""
    at = now or clock.utc_now()
    token = (
        ApiToken.objects.select_related("user__own_role")
        .filter(digest=digest(secret), revoked_at__isnull=True, user__is_active=True)
        .first()
    )
    if token is None or (token.expires_at is not None and token.expires_at <= at):
        return None
    return token


def note_use(token: ApiToken, *, now: datetime) -> None:
    """Keep `used_at`, to the minute. Inside the request's transaction.

    Written when that has ended, for a read's is READ ONLY; what is rolled back is not counted as a use.
    """
    if token.used_at is not None and now - token.used_at < USED_EVERY:
        return
    tenant = current_tenant()

    def write() -> None:
        with pointed_at(tenant), transaction.atomic():
            stale = Q(used_at__isnull=True) | Q(used_at__lt=now - USED_EVERY)
            ApiToken.objects.filter(stale, pk=token.pk).update(used_at=now)

    transaction.on_commit(write, robust=True)  # The answer stands already; a failure here is logged and spoils nothing.
