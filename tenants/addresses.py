"""Whose an address below our own host is: a shop's, an application's, or, for a time, one's that was erased, so that
nobody poses as who was there. Main scope."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.lib import clock, slugs
from kameng.lib.errors import Refused
from kameng.lib.words import worded
from tenants.models import HeldAddress, Signup, Substation
from tenants.states import SignupState

# An application that keeps its address from others.
HOLDING = (SignupState.PAYING, SignupState.VERIFIED, SignupState.PROVISIONING, SignupState.FAILED)


class AddressTaken(Refused):
    """Another shop or application has it, or it is held for one that was erased."""

    code = "address_taken"


def taken(slug: str) -> AddressTaken:
    """The refusal, at the field `slug`."""
    return AddressTaken(worded(_("%(address)s is taken. Choose another address."), address=slug), field="slug")


def is_taken(slug: str) -> bool:
    """By a shop, by a signup that holds it, or for one that was erased. Inside a main-station transaction."""
    return (
        Substation.objects.filter(slug=slug).exists()
        or Signup.objects.filter(slug=slug, state__in=HOLDING).exists()
        or is_held(slug)
    )


def hold(shop: Substation, *, now: datetime) -> None:
    """Keep an erased shop's address from everybody. Inside the erasure's transaction."""
    HeldAddress.objects.create(
        slug=shop.slug, skeleton=slugs.skeleton(shop.slug), substation=shop,
        until=now + timedelta(days=settings.ADDRESS_HOLD_DAYS),
    )  # fmt: skip


def free_due(now: datetime | None = None) -> int:
    """Let go of addresses that were held long enough; the erased shop's row keeps a name that no host has."""
    at = now or clock.utc_now()
    with in_main():
        over = list(HeldAddress.objects.select_for_update().select_related("substation").filter(until__lte=at))
        for held in over:
            shop = held.substation
            Substation.objects.filter(pk=shop.pk).update(slug=f"~{shop.pk}")  # No signup can have a tilde.
            audit.record(action="tenants.address.freed", by=SYSTEM, target=shop.public_id, at=at, address=held.slug)
            held.delete()
    return len(over)


def is_held(slug: str, now: datetime | None = None) -> bool:
    """Whether an erased shop's address, or one that the eye takes for it, is still held. Inside a main transaction."""
    return HeldAddress.objects.filter(skeleton=slugs.skeleton(slug), until__gt=now or clock.utc_now()).exists()
