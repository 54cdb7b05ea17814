"""Who opened a shop in a city, or asked for one: offered to whoever holds it, answered, forgotten in time."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import QuerySet
from django.utils import translation
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import SYSTEM, Actor
from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib import mailboxes
from kameng.lib.errors import Invalid
from kameng.lib.words import worded
from shared_apps.regions import selectors
from shared_apps.regions.errors import LeadMissing, LeadRefused
from shared_apps.regions.models import Lead, Region, RegionGrant
from shared_apps.regions.states import TRANSITIONS, LeadEvent, LeadKind, LeadState
from tenants.models import Substation

MAIL_JOB = "regions.mail_offer"
AT_ONCE = 500  # Offers that one run lets lapse; the next takes the rest.
_AUDITED = {
    LeadEvent.OFFER: "regions.lead.offered",
    LeadEvent.TAKE: "regions.lead.taken",
    LeadEvent.DECLINE: "regions.lead.declined",
    LeadEvent.LAPSE: "regions.lead.lapsed",
    LeadEvent.HANDLE: "regions.lead.handled",
}


# -- Where they come from.


def offer_shop(*, substation_id: int, now: datetime) -> Lead | None:
    """Note that a new shop is of a city, and offer it to whoever holds that city now. Safe to repeat: one lead a shop.

    Answers None for a shop that named no city, or none that there is.
    """
    with transaction.atomic():
        shop = Substation.objects.select_for_update(no_key=True, of=("self",)).get(pk=substation_id)
        place = Region.objects.filter(code=shop.region).first() if shop.region else None
        if place is None:
            return None
        known = Lead.objects.filter(substation=shop).first()
        if known is not None:
            return known
        return _created(Lead(kind=LeadKind.SHOP, region=place, substation=shop, language=shop.language), now=now)


def ask(
    *, name: str, phone: str, email: str, region: str, message: str, language: str, now: datetime
) -> Lead:  # fmt: skip
    """Somebody left a contact and a city. Raises: Invalid (`name`, `contact`, `email`), RegionUnclear (`region`)."""
    clean = {"name": " ".join(name.split()), "phone": " ".join(phone.split()), "email": email.strip().lower()}
    if not 1 <= len(clean["name"]) <= 80:
        raise Invalid(_("Say what to call you."), code="name_length", field="name")
    if not clean["phone"] and not clean["email"]:
        raise Invalid(_("Leave a phone number or a mail address, so that somebody can answer."), field="phone")
    if clean["phone"] and (len(clean["phone"]) > 30 or sum(char.isdigit() for char in clean["phone"]) < 5):
        raise Invalid(_("This is not a phone number."), code="phone_invalid", field="phone")
    if clean["email"] and not mailboxes.is_one(clean["email"]):
        raise Invalid(_("This is not an email address."), code="email_invalid", field="email")
    with transaction.atomic():
        place = selectors.resolve(region)
        made = Lead(kind=LeadKind.ASKED, region=place, message=message.strip()[:500], language=language, **clean)
        return _created(made, now=now)


def _created(row: Lead, *, now: datetime) -> Lead:
    row.created_at = now
    grant = _present_holder(row.region_id, now)
    if grant is not None and grant.substation_id != row.substation_id:
        row.state, row.grant, row.offered_at, row.lapses_at = LeadState.OFFERED, grant, now, _answer_by(grant, now)
    row.save()
    if row.state == LeadState.OFFERED:
        _tell(row)
    return row


def _present_holder(region_id: int, now: datetime) -> RegionGrant | None:
    """Race: the grant is being ended. Locked, it either ends before us, or lets our offer lapse after us."""
    rows = RegionGrant.objects.select_for_update(no_key=True, of=("self",)).filter(region_id=region_id)
    return rows.filter(selectors.in_force(now)).first()


def _answer_by(grant: RegionGrant, now: datetime) -> datetime:
    """Nobody answers for a city that they don't hold any more."""
    return min(now + timedelta(days=grant.answer_days), grant.ends_at)


def _tell(row: Lead) -> None:
    jobs.enqueue(kind=MAIL_JOB, payload={"lead": row.public_id}, dedupe=row.public_id)


def mail_offer(*, public_id: str) -> bool:
    """Tell a holder by mail that somebody waits; no contact is in it. Answers whether it was sent. Outside a transaction."""
    with in_main():
        row = selectors.leads().filter(public_id=public_id, state=LeadState.OFFERED).first()
    if row is None or row.grant is None or row.lapses_at is None:
        return False
    shop = row.grant.substation
    with translation.override(shop.language):
        subject = gettext("Somebody in %(city)s") % {"city": row.region.label}
        text = gettext(
            "Somebody in %(city)s, which %(shop)s holds, opened a shop or asked about one. Take it, and you see how to "
            "reach them; it waits until %(until)s (UTC):"
        ) % {"city": row.region.label, "shop": shop.name, "until": f"{row.lapses_at:%Y-%m-%d %H:%M}"}
    send_mail(subject, f"{text}\n\n{shop.url}/panel/region/\n", None, [shop.owner_email])
    return True


# -- What becomes of them.


def take(*, public_id: str, substation_id: int, by: Actor, now: datetime) -> Lead:
    """The holder takes an offer, and sees the contact from then on. Raises: LeadMissing (none of theirs), LeadRefused."""
    return _answer(LeadEvent.TAKE, public_id, substation_id, by, now)


def decline(*, public_id: str, substation_id: int, by: Actor, now: datetime) -> Lead:
    """The holder lets an offer go back to the main station. Raises: LeadMissing (none of theirs), LeadRefused."""
    return _answer(LeadEvent.DECLINE, public_id, substation_id, by, now)


def _answer(event: LeadEvent, public_id: str, substation_id: int, by: Actor, now: datetime) -> Lead:
    with transaction.atomic():
        row = selectors.leads().filter(public_id=public_id, grant__substation_id=substation_id).first()
        if row is None:
            raise LeadMissing(_("There is no such offer."))
        return _move(
            row, event, by=by, now=now, answered_at=now, answered_by=by.label[:120], only={"lapses_at__gt": now}
        )


def handle(*, public_id: str, by: Actor, now: datetime) -> Lead:
    """The main station has seen to a lead that nobody else has. Raises: LeadMissing, LeadRefused."""
    with transaction.atomic():
        row = selectors.lead(public_id)
        return _move(row, LeadEvent.HANDLE, by=by, now=now, answered_at=now, answered_by=by.label[:120])


def offer_again(*, public_id: str, by: Actor, now: datetime) -> Lead:
    """Offer a lead that waits for the main station to whoever holds its city now.

    Raises: LeadMissing, LeadRefused (nobody holds it, or it does not wait).
    """
    with transaction.atomic():
        row = selectors.lead(public_id)
        grant = _present_holder(row.region_id, now)
        if grant is None or grant.substation_id == row.substation_id:
            raise LeadRefused(worded(_("Nobody holds %(region)s now."), region=row.region.label))
        moved = _move(
            row, LeadEvent.OFFER, by=by, now=now, grant=grant, offered_at=now, lapses_at=_answer_by(grant, now),
            answered_at=None, answered_by="",
        )  # fmt: skip
        _tell(moved)
        return moved


def _move(
    row: Lead, event: LeadEvent, *, by: Actor, now: datetime, only: dict[str, datetime] | None = None, **fields: object
) -> Lead:
    """Take a lead through `event` in the caller's transaction. Raises: LeadRefused; nothing is changed."""
    sources, target = TRANSITIONS[event]
    # Race: two of the holder's people, or an answer in the moment of lapsing. The guarded update lets one through; it
    # names columns of this table alone, because Django puts a join into a subquery, which Postgres does not look at again
    # for a row that was waited for.
    claimed = Lead.objects.filter(pk=row.pk, state__in=sources, **(only or {}))
    if claimed.update(state=target, **fields) != 1:
        row.refresh_from_db(fields=["state"])
        late = row.state in sources  # Not swept yet, but over all the same.
        told = LeadState.LAPSED if late else LeadState(row.state)
        raise LeadRefused(worded(_("It is “%(state)s” now. Nothing was changed."), state=told.label))
    audit.record(action=_AUDITED[event], by=by, target=row.public_id, at=now, region=row.region.code)
    row.refresh_from_db()
    return row


def lapse(rows: QuerySet[Lead], *, by: Actor, now: datetime, waiting: bool = True) -> int:
    """Let what is offered and not answered of `rows` lapse, in the caller's transaction; answers how many.

    What is being answered in this moment is waited for, or left to its answer where not `waiting`.
    """
    offered = rows.filter(state=LeadState.OFFERED).select_related("region").order_by("pk")
    found = list(offered.select_for_update(skip_locked=not waiting, of=("self",))[:AT_ONCE])
    for row in found:
        _move(row, LeadEvent.LAPSE, by=by, now=now, answered_at=now, answered_by="")
    return len(found)


def lapse_due(*, now: datetime) -> int:
    """Let every offer lapse whose time is over; answers how many. Inside a main transaction."""
    return lapse(Lead.objects.filter(lapses_at__lte=now), by=SYSTEM, now=now, waiting=False)


# -- What is not kept.


def forget(*, public_id: str, by: Actor, now: datetime) -> Lead:
    """Remove what somebody who asked left of themselves, because they wish so. Raises: LeadMissing, LeadRefused."""
    with transaction.atomic():
        row = selectors.lead(public_id)
        if _emptied(Lead.objects.filter(pk=row.pk), now) != 1:
            raise LeadRefused(_("There is no contact left here to remove."))
        audit.record(action="regions.lead.forgotten", by=by, target=row.public_id, at=now, region=row.region.code)
        row.refresh_from_db()
        return row


def forget_due(*, now: datetime) -> int:
    """Remove the contacts that were kept for LEAD_RETENTION_DAYS; answers how many. Inside a main transaction."""
    kept_since = now - timedelta(days=settings.LEAD_RETENTION_DAYS)
    return _emptied(Lead.objects.filter(created_at__lte=kept_since), now)


def _emptied(rows: QuerySet[Lead], now: datetime) -> int:
    due = rows.filter(kind=LeadKind.ASKED, forgotten_at__isnull=True)
    return due.update(name="", phone="", email="", message="", forgotten_at=now)
