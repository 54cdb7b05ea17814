"""The words of regions that are stored, and the life of a lead."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Level(models.TextChoices):
    COUNTRY = "COUNTRY", _("Country")
    PROVINCE = "PROVINCE", _("Province")  # Of China: provinces, autonomous regions, municipalities.
    CITY = "CITY", pgettext_lazy("region", "City")  # What one agent holds; a county right below its province, too.
    COUNTY = "COUNTY", pgettext_lazy("region", "County")  # Part of its city; not held by itself.
    SUBDIVISION = "SUBDIVISION", _("Subdivision")  # Elsewhere, by ISO 3166-2.


class LeadKind(models.TextChoices):
    SHOP = "SHOP", _("New shop")  # Somebody who signed up; the contact is the shop's owner.
    ASKED = "ASKED", _("Question")  # Somebody who left a contact on the main site.


class LeadState(models.TextChoices):
    OPEN = "OPEN", _("Nobody's city")  # Nobody held the city: the main station's own.
    OFFERED = "OFFERED", pgettext_lazy("lead", "Offered")  # To the city's holder, until `lapses_at`.
    TAKEN = "TAKEN", _("Taken")  # The holder has it, and sees the contact.
    DECLINED = "DECLINED", _("Declined")  # Back with the main station.
    LAPSED = "LAPSED", _("Not answered")  # In time, or the holder lost the city: back with the main station.
    HANDLED = "HANDLED", pgettext_lazy("lead", "Done")  # By the main station.


class LeadEvent(models.TextChoices):
    OFFER = "OFFER"
    TAKE = "TAKE"
    DECLINE = "DECLINE"
    LAPSE = "LAPSE"
    HANDLE = "HANDLE"


_S = LeadState
# With the main station: nobody has been asked, or whoever was did not want it.
WAITING = frozenset({_S.OPEN, _S.DECLINED, _S.LAPSED})

# event: (from, to). The whole life of a lead; nothing else moves one (services/_leads.py).
TRANSITIONS: dict[LeadEvent, tuple[frozenset[LeadState], LeadState]] = {
    LeadEvent.OFFER: (WAITING, _S.OFFERED),
    LeadEvent.TAKE: (frozenset({_S.OFFERED}), _S.TAKEN),
    LeadEvent.DECLINE: (frozenset({_S.OFFERED}), _S.DECLINED),
    LeadEvent.LAPSE: (frozenset({_S.OFFERED}), _S.LAPSED),
    LeadEvent.HANDLE: (WAITING, _S.HANDLED),
}
