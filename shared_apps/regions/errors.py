"""What asking about regions is refused with."""

from __future__ import annotations

from kameng.lib.errors import Invalid, Missing, Refused


class RegionMissing(Missing):
    """No such region."""

    code = "region_unknown"


class RegionUnclear(Invalid):
    """A typed name is of no region that can be held, or of several; nothing was changed."""

    code = "region_unclear"


class RegionNotHeld(Invalid):
    """Nobody can hold this one: it is too large, or part of a city."""

    code = "region_not_holdable"


class RegionHeld(Refused):
    """Somebody else holds it in that time; `details` say who, from when and until when. Nothing was changed."""

    code = "region_held"


class GrantInvalid(Invalid):
    """The time of a grant makes no sense, or its shop can't hold anything."""

    code = "region_grant_invalid"


class GrantMissing(Missing):
    """No such grant."""

    code = "region_grant_unknown"


class GrantOver(Refused):
    """It has ended already."""

    code = "region_grant_over"


class LeadMissing(Missing):
    """There is no such lead, or it was offered to somebody else."""

    code = "lead_unknown"


class LeadRefused(Refused):
    """The lead is in a state from which this can't be done; nothing was changed."""

    code = "lead_state_refused"
