"""How often a stranger may try to find an order: counted in the cache, whose keys begin with the tenant."""

from __future__ import annotations

import hashlib

from django.core.cache import cache
from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import TooMany

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
    """Count one try to find `number` from `ip`. Raises: TooManyTries, before anything is looked up.

    Counted first and compared then, in one atomic step each: tries at the same moment don't slip through together.
    """
    name = hashlib.sha256(number.encode()).hexdigest()[:24]  # What was typed may be anything, and any length.
    limits = {f"find:{ip}": PER_ADDRESS, f"find:{ip}:{name}": PER_ADDRESS_AND_NUMBER, f"find:{name}": PER_NUMBER}
    if any([_count(key) > limit for key, limit in limits.items()]):  # All are counted: a list, not a generator.
        raise TooManyTries()


def _count(key: str) -> int:
    cache.add(key, 0, WINDOW_S)
    try:
        return cache.incr(key)
    except ValueError:  # It ran out between the two.
        cache.set(key, 1, WINDOW_S)
        return 1
