"""Who holds a region, and until when."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.lib.words import worded
from shared_apps.regions import selectors
from shared_apps.regions.errors import GrantInvalid, GrantOver, RegionHeld, RegionNotHeld
from shared_apps.regions.models import Region, RegionGrant
from shared_apps.regions.services import _leads
from shared_apps.regions.states import LeadState
from tenants.models import Substation
from tenants.states import SELLING, SubstationState

# Shops that may be given a region: made, and not on their way out.
GRANTABLE = SELLING | {SubstationState.SUSPENDED}
LONGEST = timedelta(days=3660)  # Ten years: a year typed wrong is not a century.
OVERLAPS = "23P01"  # Postgres: exclusion_violation.


def make_grant(
    *, region_code: str, substation_id: int, starts_at: datetime, ends_at: datetime, by: Actor, now: datetime,
    answer_days: int = 3, note: str = "",
) -> RegionGrant:  # fmt: skip
    """Give a region to a substation alone, from `starts_at` until before `ends_at`.

    Raises: RegionMissing, RegionNotHeld, GrantInvalid (`starts_at`, `ends_at`, `substation`, `answer_days`), RegionHeld
    (who has it, until when). Nothing is changed then.
    """
    place = selectors.region(region_code)
    if not place.holdable:
        raise RegionNotHeld(
            worded(_("%(region)s can't be held: choose a city, or elsewhere a subdivision."), region=place.label),
            field="region",
        )
    _check_time(starts_at, ends_at, now)
    if not 1 <= answer_days <= 30:
        raise GrantInvalid(_("Give the holder 1 to 30 days to answer."), field="answer_days")
    with transaction.atomic():
        # Race: the shop is being closed. Its closing locks this row, too, and ends what it holds after us, or is seen here.
        shop = Substation.objects.select_for_update(no_key=True, of=("self",)).filter(pk=substation_id).first()
        if shop is None or shop.state not in GRANTABLE:
            raise GrantInvalid(
                _("Only a shop that is made, and not being closed, can hold a region."), field="substation"
            )
        # Race: two grants of one city at once. The constraint decides; the region's row is locked so that the second
        # waits for the first here, and not in the index, where two that wait for each other are a deadlock.
        Region.objects.select_for_update(no_key=True).get(pk=place.pk)
        try:
            with transaction.atomic():
                made = RegionGrant.objects.create(
                    region=place, substation=shop, starts_at=starts_at, ends_at=ends_at, answer_days=answer_days,
                    note=" ".join(note.split())[:200], granted_by=by.label[:120], created_at=now,
                )  # fmt: skip
        except IntegrityError as error:
            if getattr(error.__cause__, "pgcode", "") != OVERLAPS:
                raise
            raise _held(place, starts_at, ends_at) from None
        audit.record(
            action="regions.grant.made", by=by, target=made.public_id, at=now, region=place.code,
            substation=shop.public_id, starts_at=starts_at.isoformat(), ends_at=ends_at.isoformat(),
        )  # fmt: skip
    return made


def _check_time(starts_at: datetime, ends_at: datetime, now: datetime) -> None:
    if ends_at <= starts_at:
        raise GrantInvalid(_("It has to end after it begins."), field="ends_at")
    if ends_at <= now:
        raise GrantInvalid(_("That is over already. Choose a later end."), field="ends_at")
    if starts_at > now + LONGEST:
        raise GrantInvalid(_("It has to begin within ten years."), field="starts_at")
    if ends_at - starts_at > LONGEST:
        raise GrantInvalid(_("Ten years at most; it can be given anew."), field="ends_at")


def _held(place: Region, starts_at: datetime, ends_at: datetime) -> RegionHeld:
    """The refusal: who holds it in that time. Read after the constraint has spoken, when their row is committed."""
    others = RegionGrant.objects.select_related("substation").filter(
        region=place, starts_at__lt=ends_at, ends_at__gt=starts_at
    )
    found = others.order_by("starts_at").first()
    assert found is not None, "The constraint refused it for the sake of a grant."
    message = _("%(region)s is held by %(shop)s from %(start)s to %(end)s. Nothing was changed.")
    return RegionHeld(
        worded(
            message, region=place.label, shop=found.substation.name, start=_day(found.starts_at),
            end=_day(found.last_at),
        ),
        field="region",
        details={
            "grant": found.public_id, "substation": found.substation.public_id,
            "starts_at": found.starts_at.isoformat(), "ends_at": found.ends_at.isoformat(),
        },
    )  # fmt: skip


def _day(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d}"


def end_grant(*, public_id: str, by: Actor, now: datetime) -> RegionGrant:
    """Bring a grant's end forward to now; its time so far stays. What it was offered and is not answered lapses.

    Raises: GrantMissing, GrantOver.
    """
    with transaction.atomic():
        row = selectors.grant(public_id)
        # Race: two who end it at once, or its shop closes. The guarded update lets one through.
        ended = RegionGrant.objects.filter(pk=row.pk, ends_at__gt=now, ended_at__isnull=True)
        if ended.update(ends_at=Greatest("starts_at", now), ended_at=now, ended_by=by.label[:120]) != 1:
            raise GrantOver(_("It has ended already."))
        # From here on none of them can be taken, however many they are; what one run does not write down, the sweep does.
        row.leads.filter(state=LeadState.OFFERED, lapses_at__gt=now).update(lapses_at=now)
        _leads.lapse(row.leads.all(), by=by, now=now)
        audit.record(
            action="regions.grant.ended", by=by, target=row.public_id, at=now, region=row.region.code,
            substation=row.substation.public_id, before=row.ends_at.isoformat(),
        )  # fmt: skip
        row.refresh_from_db(fields=["ends_at", "ended_at", "ended_by"])
    return row


def end_grants_of(*, substation_id: int, by: Actor, now: datetime) -> int:
    """End all that a substation holds or will hold, in the caller's transaction; answers how many."""
    rows = RegionGrant.objects.filter(substation_id=substation_id, ends_at__gt=now, ended_at__isnull=True)
    ids = list(rows.order_by("pk").values_list("public_id", flat=True))
    for public_id in ids:
        end_grant(public_id=public_id, by=by, now=now)
    return len(ids)
