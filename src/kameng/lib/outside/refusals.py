"""What an outside service refused, and which of its callbacks are not to be believed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Invalid, ProviderError

CALLBACK_TOLERANCE_S = 300  # Stripe's own default, and what WeChat Pay's manual asks for.


class ChannelRefused(ProviderError):
    """The channel understood and said no; nothing was done and asking again won't help.

    `code` is the channel's own word ("amount_too_small"); these are ours: "idempotency_conflict" (the id was used
    with another body), "over_refund", "not_found", "credentials".
    """

    def __init__(self, message: str, *, code: str, provider: str) -> None:
        super().__init__(message, retryable=False, unknown=False, provider=provider)
        self.code = code


class CallbackRefused(Invalid):
    """A callback that is not to be believed. Nothing is stored of it but a count."""

    status = 400
    code = "callback_refused"


class BadSignature(CallbackRefused):
    """No signature, or one that this account's secret did not make over these very bytes."""

    code = "callback_bad_signature"

    def __init__(self) -> None:
        super().__init__(_("The signature of this callback is not valid. Nothing was changed."))


class StaleCallback(CallbackRefused):
    """Rightly signed, but more than `CALLBACK_TOLERANCE_S` seconds ago, or in the future."""

    code = "callback_stale"

    def __init__(self, age_s: int) -> None:
        super().__init__(
            _("This callback was signed too long ago or in the future. Nothing was changed."), details={"age_s": age_s}
        )


class WrongAccount(CallbackRefused):
    """Rightly signed, but it speaks of another merchant account, or of another mode (live, test) of this one."""

    code = "callback_wrong_account"

    def __init__(self) -> None:
        super().__init__(_("This callback belongs to another merchant account. Nothing was changed."))


class Malformed(CallbackRefused):
    """Rightly signed, but not an event as the channel documents it. `reason` is for the log, in English."""

    code = "callback_malformed"

    def __init__(self, reason: str) -> None:
        super().__init__(_("This callback can't be understood. Nothing was changed."), details={"reason": reason})


def from_timestamp(seconds: int) -> datetime:
    """Unix seconds, as channels send them, to an aware time in UTC."""
    return datetime.fromtimestamp(seconds, tz=UTC)


def header(headers: Mapping[str, str], name: str) -> str:
    """The value of a header without regard to case; "" when it is absent."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), "")
