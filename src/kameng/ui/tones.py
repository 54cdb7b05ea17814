"""Which colour a state wears. The word is always beside it: no meaning by colour alone."""

from __future__ import annotations

from typing import Final

SUCCESS, WARNING, DANGER, INFO, NEUTRAL = "success", "warning", "danger", "info", "neutral"

_STATES: Final[dict[str, str]] = {
    SUCCESS: """ACTIVE APPROVED BALANCED COMPLETE COMPLETED CONFIRMED DELIVERED DONE ENABLED FULFILLED HANDLED
        HEALTHY IN_STOCK LIVE MATCHED OK ON_SALE ON_SHELF OPENED PAID POSTED PUBLISHED READY RESOLVED SEALED SETTLED
        SUCCEEDED SUCCESS SYNCED UP_TO_DATE VALID VERIFIED""",
    WARNING: """ATTENTION AWAITING_DELIVERY BEHIND CLOSING DELAYED EXPIRING FROZEN GRACE HELD LATE LOW LOW_STOCK NEEDS_REVIEW
        ON_HOLD OPEN OVERPAID PARTIAL PARTLY_DELIVERED PARTLY_REFUNDED PAST_DUE READ_ONLY REVIEW SHORT SUSPENDED UNDERPAID
        UNKNOWN WAITING WARNING""",
    DANGER: """BLOCKED BROKEN CHARGED_BACK DEAD DISPUTED ERROR FAILED INVALID MISMATCH MISSING OUT_OF_STOCK REFUSED
        REJECTED SHUT SOLD_OUT""",
    INFO: """APPLIED AWAITING_PAYMENT CREATED DELIVERING IMPORTING IN_PROGRESS NEW PENDING PROCESSING PROVISIONING QUEUED
        RECEIVED REFUNDING RESERVED RUNNING SENT STARTED SYNCING TRIAL""",
}
_TONE_OF: Final[dict[str, str]] = {state: tone for tone, states in _STATES.items() for state in states.split()}
TONES: Final = frozenset({SUCCESS, WARNING, DANGER, INFO, NEUTRAL, "accent"})


def tone_of(state: object) -> str:
    """The tone of a state (an enum member, or its value in any case); "neutral" for what is over or unheard of."""
    value = getattr(state, "value", state)
    return _TONE_OF.get(str(value).strip().upper().replace("-", "_").replace(" ", "_"), NEUTRAL)
