"""The shop's terms of now, through the gate."""

from __future__ import annotations

import json
from datetime import datetime

from django.db import connection

from shared_apps.splits.arithmetic import Shares
from tenant_apps.listings.pricing import Terms


def current_terms(*, now: datetime) -> Terms:
    """What a sale of this shop pays at `now`, with the fees of the channels that are open to it; one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.platform_bps, t.terms, (SELECT array_agg(c.channel) FROM gate.channels() c) "
            "FROM gate.sale_terms(%s) t",
            [now],
        )
        platform_bps, raw, channels = cursor.fetchone()
    rule = (json.loads(raw) if isinstance(raw, str) else raw) or {}
    fees = rule.get("channel_fees") or {}
    return Terms(
        shares=Shares(
            platform_bps=platform_bps or 0,
            **{name: rule.get(name) or 0 for name in ("partner_bps", "outlet_bps", "agent_bps")},
        ),
        tax_bps=rule.get("tax_bps") or 0,
        channel_fees={channel: fees.get(channel, {}) for channel in channels or ()},
    )
