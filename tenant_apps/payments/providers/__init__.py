"""Payment channels by name: `providers.get("stripe").create(account=…, request=…)`.

A new channel is a folder here and a line in `_MODULES`; `base.PaymentChannel` says what it owes.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import cast

from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Missing

from .base import PaymentChannel

# Loaded when first asked for: the Stripe SDK alone takes longer to import than the rest of a page's work.
_MODULES = {"stripe": "stripe.adapter", "testpay": "testpay.adapter"}


class UnknownChannel(Missing):
    """No adapter has this name."""

    code = "unknown_channel"


@cache
def get(name: str) -> PaymentChannel:
    """The adapter of a channel; one object for the process, safe to share between threads. Raises: UnknownChannel."""
    if name not in _MODULES:
        raise UnknownChannel(_("There is no such payment channel."), details={"channel": name})
    module = import_module(f"{__name__}.{_MODULES[name]}")
    return cast(PaymentChannel, module.ADAPTER)


def names() -> tuple[str, ...]:
    """Every channel there is an adapter for, in the order of the registry."""
    return tuple(_MODULES)
