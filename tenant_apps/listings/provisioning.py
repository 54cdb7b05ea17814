"""The step of a shop's making that fills its shelves."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from kameng.db.context import in_substation
from tenant_apps.listings import sync
from tenant_apps.listings.models import MarkupRule
from tenant_apps.listings.states import Rounding, RuleKind, RuleScope
from tenants.models import Signup, Substation

# What a new shop asks until its owner sets prices: the suggested price may lie below the supply price of a small
# plan, a percentage never does.
FIRST_RULE = {"kind": RuleKind.PERCENT, "value": Decimal(8), "rounding": Rounding.TENTH, "updated_by": "Kameng"}


def fill_shelves(substation: Substation, signup: Signup | None = None, now: datetime | None = None) -> None:
    """Bring the whole library into the new shop and give it a first markup rule. Safe to repeat.

    A rule that the owner has set meanwhile stays.
    """
    sync.ensure_states(substation.pk)
    sync.sync_substation(substation, now=now)
    with in_substation(substation):
        MarkupRule.objects.get_or_create(scope=RuleScope.SHOP, target_id=0, defaults=FIRST_RULE)
