"""Everything that writes regions: grants and leads. Main scope."""

from shared_apps.regions.services._grants import GRANTABLE, end_grant, end_grants_of, make_grant
from shared_apps.regions.services._leads import (
    ask,
    decline,
    forget,
    forget_due,
    handle,
    lapse_due,
    mail_offer,
    offer_again,
    offer_shop,
    take,
)

__all__ = [
    "GRANTABLE", "ask", "decline", "end_grant", "end_grants_of", "forget", "forget_due", "handle", "lapse_due",
    "mail_offer", "make_grant", "offer_again", "offer_shop", "take",
]  # fmt: skip
