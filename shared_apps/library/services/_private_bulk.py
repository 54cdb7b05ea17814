"""Private terms by a share off the plan's prices: for everything, a category or a brand. Shown first, then written."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts.types import Actor
from kameng.lib.errors import Refused
from shared_apps.library.selectors import descendants
from shared_apps.library.services._private import PrivatePriceInvalid, checked_span, lock_terms, set_private_prices
from shared_apps.library.types import PrivateOutcome, ShareOffPreview, ShareOffRow
from tenants.models import Substation

SHOWN = 20
FINEST = Decimal("0.0001")


class PreviewOutdated(Refused):
    """What would be written is not what was shown any more."""

    code = "private_preview_outdated"


@dataclass(frozen=True)
class ShareOff:
    """What is wished: so many percent off the plan's price (above 0, below 100, two places), for what, for how long.

    Without `category_id` (takes in those below it) and `brand_id`, everything that the plan has a price for.
    """

    percent: Decimal
    category_id: int | None = None
    brand_id: int | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def of(self, unit: Decimal) -> Decimal:
        """A plan's price less the share, four places, rounded up: the supplier is never short of a fraction."""
        return (unit * (100 - self.percent) / 100).quantize(FINEST, ROUND_CEILING)


# A row a SKU that the plan has a price for: the plan's, the one in force, the cheapest plan's.
_SKUS = """SELECT k.id, k.code, k.name_zh, k.name_en, pr.name_zh, pr.name_en, k.currency, k.suggested, k.floor, sp.unit,
    t.unit, t.private, (SELECT min(a.unit) FROM library_supplyprice a WHERE a.sku_id = k.id)
FROM library_sku k
JOIN library_product pr ON pr.id = k.product_id
JOIN library_supplyprice sp ON sp.sku_id = k.id AND sp.level = %(level)s
JOIN public.supply_terms(%(shop)s, %(level)s, %(at)s) t ON t.sku_id = k.id
WHERE k.active AND pr.active AND (%(categories)s::bigint[] IS NULL OR pr.category_id = ANY (%(categories)s))
  AND (%(brand)s::bigint IS NULL OR pr.brand_id = %(brand)s)
ORDER BY k.id"""


def preview_share_off(*, substation: Substation, wish: ShareOff, now: datetime) -> ShareOffPreview:
    """What `write_share_off` would write now; writes nothing. Raises: PrivatePriceInvalid."""
    begins = _checked(wish, now)
    with connection.cursor() as cursor:
        cursor.execute(
            _SKUS,
            {
                "level": substation.plan.supply_level, "shop": substation.pk, "at": begins, "brand": wish.brand_id,
                "categories": None if wish.category_id is None
                else [wish.category_id, *descendants(wish.category_id)],
            },
        )  # fmt: skip
        # The plan's price is the tenth column.
        rows = [ShareOffRow(*(*row, wish.of(row[9]))) for row in cursor.fetchall()]
    prices = {row.sku_id: row.new for row in rows}
    told = hashlib.sha256(repr(sorted(prices.items())).encode()).hexdigest()[:32]
    dearest = sorted(rows, key=lambda row: (row.against_cheapest, row.sku_id))
    return ShareOffPreview(
        prices=prices, digest=told, rows=tuple(dearest[:SHOWN]),
        changed=sum(row.new != row.present for row in rows), replaced=sum(row.private for row in rows),
        below_all=sum(row.new < row.cheapest for row in rows),
        above_floor=sum(row.floor is not None and row.new > row.floor for row in rows),
        lowest_markup=min((row.markup_at_suggested for row in rows), default=None),
        lowest_against_cheapest=dearest[0].against_cheapest if dearest else None,
    )  # fmt: skip


def write_share_off(
    *, substation: Substation, wish: ShareOff, digest: str, note: str = "", by: Actor, now: datetime
) -> PrivateOutcome:
    """Write what the preview with this `digest` has shown, all or nothing.

    Raises: PreviewOutdated (goods or plan prices have changed since), PrivatePriceInvalid, ShopHasNoTerms.
    """
    with transaction.atomic():
        lock_terms(substation.pk)
        preview = preview_share_off(substation=substation, wish=wish, now=now)
        if preview.digest != digest:
            raise PreviewOutdated(
                _("Goods or prices have changed since this was shown. Look at it again; nothing was changed.")
            )
        told: dict[str, Any] = {"percent_off": str(wish.percent)}
        return set_private_prices(
            substation_id=substation.pk, prices=preview.prices, starts_at=wish.starts_at, ends_at=wish.ends_at, note=note,
            by=by, now=now, **told,
        )  # fmt: skip


def _checked(wish: ShareOff, now: datetime) -> datetime:
    """When it begins. Raises: PrivatePriceInvalid."""
    places = -int(wish.percent.as_tuple().exponent) if wish.percent.is_finite() else 9
    if not 0 < wish.percent < 100 or places > 2:
        raise PrivatePriceInvalid(_("A share lies above 0 and below 100, with at most two places."), field="percent")
    return checked_span(wish.starts_at, wish.ends_at, now)
