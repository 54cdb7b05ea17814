"""How often a stranger may try to find an order: counted in the cache, whose keys begin with the tenant."""

from __future__ import annotations

import hashlib

from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import TooMany
from kameng.web.counting import count

WINDOW_S = 600
PER_ADDRESS = 20
PER_ADDRESS_AND_NUMBER = 5
PER_NUMBER = 30  # From everywhere: a network of addresses gains nothing. A query password has 50 bits.


class TooManyTries(TooMany):
    code = "too_many_tries"

    def __init__(self) -> None:
        super().__init__(
            _("Too many tries. Please wait ten minutes, or ask the shop."), details={"retry_after_s": WINDOW_S}
        )


def count_try(*, ip: str, number: str) -> None:
    """Count one try to find `number` from `ip`. Raises: TooManyTries, before anything is looked up."""
    name = hashlib.sha256(number.encode()).hexdigest()[:24]  # What was typed may be anything, and any length.
    limits = {f"find:{ip}": PER_ADDRESS, f"find:{ip}:{name}": PER_ADDRESS_AND_NUMBER, f"find:{name}": PER_NUMBER}
    if any(
        [count(key, WINDOW_S) > limit for key, limit in limits.items()]
    ):  # All are counted: a list, not a generator.
        raise TooManyTries()
