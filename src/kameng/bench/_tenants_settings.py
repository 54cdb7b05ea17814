"""The settings that are served; every sign-up of the burst comes from one address, and may."""

from typing import Any

from kameng import settings as _settings
from kameng.settings import *  # noqa: F403  # The one difference is below.

_served: dict[str, Any] = _settings.REST_FRAMEWORK
REST_FRAMEWORK = {**_served, "DEFAULT_THROTTLE_RATES": dict.fromkeys(_served["DEFAULT_THROTTLE_RATES"], "100000/min")}
