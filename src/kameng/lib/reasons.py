"""Why somebody does what others have to be able to understand later: asked for once, kept as one short line."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Invalid

REASON_CHARS = 200
LEAST = 3
THE_OWNER_READS_IT = _("Say why in a few words; the shop's owner reads it.")
KEPT_WITH_YOUR_NAME = _("Say why in a few words; it is kept with your name.")


class ReasonMissing(Invalid):
    """It is not done without saying why."""

    code = "reason_missing"


def tidy(reason: str) -> str:
    """A reason in one line of at most `REASON_CHARS` characters."""
    return " ".join(reason.split())[:REASON_CHARS]


def required(reason: str, *, refusal: object = KEPT_WITH_YOUR_NAME, least: int = LEAST) -> str:
    """The reason as it is kept. `refusal`: the sentence that says who reads it. Raises: ReasonMissing (`reason`)."""
    why = tidy(reason)
    if len(why) < least:
        raise ReasonMissing(refusal, field="reason")
    return why
