"""Private terms: what one substation pays for a SKU in place of its plan's price. Written, ended, never removed.

Every write leaves an audit record that bears the shop's id, and nudges the sync, which finds that shop alone due.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.lib.errors import Invalid, Missing, Refused
from kameng.lib.tabular import cells
from kameng.lib.words import worded
from shared_apps.library.models import PrivatePrice, Sku
from shared_apps.library.services._editing import RowUnknown, checked_price, nudge
from shared_apps.library.types import PrivateOutcome
from tenants.models import Substation
from tenants.states import SubstationState

NOTE_CHARS = 200
# A form tells minutes: one that says this minute means now.
JUST_NOW = timedelta(minutes=1)
LONGEST = timedelta(days=36_525)
NO_TERMS = frozenset({SubstationState.CLOSED, SubstationState.ERASED})


class PrivatePriceInvalid(Invalid):
    """A value that a private price can't have; `field` names it."""

    code = "private_price_invalid"


class PrivatePriceUnknown(Missing):
    """No such private price of this substation."""

    code = "private_price_unknown"


class PrivatePriceOver(Refused):
    """It has ended already."""

    code = "private_price_over"


class ShopHasNoTerms(Refused):
    """A shop that is closed for good buys nothing."""

    code = "substation_closed"


def set_private_price(
    *, substation_id: int, sku_id: int, unit: Decimal, starts_at: datetime | None = None, ends_at: datetime | None = None,
    note: str = "", by: Actor, now: datetime,
) -> PrivatePrice:  # fmt: skip
    """What a substation pays for one unit of a SKU from `starts_at` (None: from now) until `ends_at` (None: until it is
    ended), in place of what stood for that time. Said again, it changes nothing.

    Answers the row that holds from then on. Raises: LibraryInvalid, PrivatePriceInvalid, RowUnknown, ShopHasNoTerms.
    """
    checked = checked_price(unit, "unit")
    with transaction.atomic():
        if not Sku.objects.filter(pk=sku_id).exists():
            raise RowUnknown(_("This row of the library does not exist."), field="sku")
        set_private_prices(
            substation_id=substation_id, prices={sku_id: checked}, starts_at=starts_at, ends_at=ends_at, note=note, by=by,
            now=now,
        )  # fmt: skip
        rows = PrivatePrice.objects.select_related("sku__product").filter(substation_id=substation_id, sku_id=sku_id)
        begun = max(starts_at or now, now)
        return rows.get(Q(ends_at__isnull=True) | Q(ends_at__gt=begun), starts_at__lte=begun)


def set_private_prices(
    *, substation_id: int, prices: Mapping[int, Decimal], starts_at: datetime | None = None,
    ends_at: datetime | None = None, note: str = "", by: Actor, now: datetime, **told: Any,
) -> PrivateOutcome:  # fmt: skip
    """Many at once, by SKU id; the prices are checked (`checked_price`), the SKUs known. `told`: more for the audit trail.

    Raises: PrivatePriceInvalid, ShopHasNoTerms.
    """
    begins, text = checked_span(starts_at, ends_at, now), _checked_note(note)
    with transaction.atomic():
        shop = lock_terms(substation_id)
        outcome = _write(shop, prices, begins, ends_at, text, by, now)
        if outcome.written:
            audit.record(
                action="library.private.set", by=by, target=shop.public_id, at=now, count=outcome.written,
                replaced=outcome.replaced, starts_at=begins.isoformat(), ends_at=ends_at and ends_at.isoformat(),
                **_named(prices), **told,
            )  # fmt: skip
            nudge()
        return outcome


def _named(prices: Mapping[int, Decimal]) -> dict[str, Any]:
    """For the trail: one price by its SKU's code. Of many, the rows themselves tell each."""
    if len(prices) != 1:
        return {}
    ((sku_id, unit),) = prices.items()
    return {"sku": Sku.objects.values_list("code", flat=True).get(pk=sku_id), "unit": str(unit)}


def checked_span(starts_at: datetime | None, ends_at: datetime | None, now: datetime) -> datetime:
    """When terms begin. Raises: PrivatePriceInvalid."""
    if starts_at is not None and starts_at < now - JUST_NOW:
        raise PrivatePriceInvalid(
            _("This time is over: what was paid is paid. Leave it blank for from now on."), field="starts_at"
        )
    begins = max(starts_at or now, now)
    # Beyond it lies the end of the calendar, which no clock east of Greenwich can show.
    for field, moment in (("starts_at", begins), ("ends_at", ends_at)):
        if moment is not None and moment > now + LONGEST:
            raise PrivatePriceInvalid(_("A hundred years ahead at most."), field=field)
    if ends_at is not None and ends_at <= begins:
        raise PrivatePriceInvalid(_("It has to end after it begins."), field="ends_at")
    return begins


def _checked_note(note: str) -> str:
    try:
        return str(cells.text(NOTE_CHARS)(note))
    except cells.CellRefused as refusal:
        sentence = worded("%(problem)s %(cure)s", problem=refusal.problem, cure=refusal.cure)
        raise PrivatePriceInvalid(sentence, field="note") from None


def lock_terms(substation_id: int) -> Substation:
    """The shop, locked for a writer of its terms. Raises: ShopHasNoTerms.

    Race: two people price the same SKU at once. The second waits here, and then sees and ends what the first has set.
    Without the lock the exclusion constraint would let one of them in and fail the other. NO KEY: orders refer to the row.
    """
    shop: Substation = Substation.objects.select_for_update(no_key=True).get(pk=substation_id)
    if shop.state in NO_TERMS:
        raise ShopHasNoTerms(_("This shop is closed for good. It has no terms any more; nothing was changed."))
    return shop


# What is wanted and does not stand yet. Whoever says again what holds already for all of that time changes nothing.
_WANTED = """WITH wanted AS MATERIALIZED (
    SELECT w.sku_id, w.unit FROM unnest(%(skus)s::bigint[], %(units)s::numeric[]) AS w(sku_id, unit)
    WHERE NOT EXISTS (SELECT 1 FROM library_privateprice p
        WHERE p.substation_id = %(shop)s AND p.sku_id = w.sku_id AND p.unit = w.unit AND p.starts_at <= %(starts)s
          AND p.ends_at IS NOT DISTINCT FROM %(ends)s))
"""
_LEFT = f"{_WANTED} SELECT sku_id, unit FROM wanted"
# What overlaps ends when the new price begins; what would have begun later never does (an empty span).
_END_OVERLAPPING = """UPDATE library_privateprice p
SET ends_at = greatest(p.starts_at, %(starts)s), ended_by = %(by)s, ended_at = %(now)s
WHERE p.substation_id = %(shop)s AND p.sku_id = ANY (%(skus)s)
  AND tstzrange(p.starts_at, p.ends_at) && tstzrange(%(starts)s, %(ends)s)"""
_INSERT = """INSERT INTO library_privateprice
    (public_id, substation_id, sku_id, unit, starts_at, ends_at, note, by, created_at, ended_by)
SELECT w.id, %(shop)s, w.sku_id, w.unit, %(starts)s, %(ends)s, %(note)s, %(by)s, %(now)s, ''
FROM unnest(%(ids)s::text[], %(skus)s::bigint[], %(units)s::numeric[]) AS w(id, sku_id, unit)"""


def _write(
    shop: Substation, prices: Mapping[int, Decimal], starts: datetime, ends: datetime | None, note: str, by: Actor,
    now: datetime,
) -> PrivateOutcome:  # fmt: skip
    values: dict[str, Any] = {
        "shop": shop.pk, "starts": starts, "ends": ends, "note": note, "by": by.label[:120], "now": now,
        "skus": list(prices), "units": list(prices.values()),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_LEFT, values)
        left = cursor.fetchall()
        if not left:
            return PrivateOutcome(written=0, replaced=0)
        fresh = PrivatePrice._meta.get_field("public_id")
        values |= {
            "skus": [sku for sku, _unit in left], "units": [unit for _sku, unit in left],
            "ids": [fresh.get_default() for _ in left],
        }  # fmt: skip
        cursor.execute(_END_OVERLAPPING, values)
        replaced = cursor.rowcount
        cursor.execute(_INSERT, values)
    return PrivateOutcome(written=len(left), replaced=replaced)


def end_private_price(*, substation_id: int, public_id: str, by: Actor, now: datetime) -> PrivatePrice:
    """End one now, or take it back before it begins; the plan's price holds again. Raises: PrivatePriceUnknown,
    PrivatePriceOver, ShopHasNoTerms."""
    with transaction.atomic():
        lock_terms(substation_id)
        rows = PrivatePrice.objects.select_related("sku__product")
        row = rows.filter(substation_id=substation_id, public_id=public_id).first()
        if row is None:
            raise PrivatePriceUnknown(_("This substation has no such private price."))
        if not end_private_prices(substation_id=substation_id, only=[row.pk], by=by, now=now):
            raise PrivatePriceOver(_("This private price has ended already. Nothing was changed."))
        row.refresh_from_db(fields=["ends_at", "ended_at", "ended_by"])
        return row


def end_private_prices(*, substation_id: int, only: Sequence[int] | None = None, by: Actor, now: datetime) -> int:
    """End those in force and those to come, all or `only` these ids; answers how many. Raises: ShopHasNoTerms."""
    with transaction.atomic():
        shop = lock_terms(substation_id)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE library_privateprice p SET ends_at = greatest(p.starts_at, %(now)s), ended_by = %(by)s, "
                "ended_at = %(now)s WHERE p.substation_id = %(shop)s AND (p.ends_at IS NULL OR p.ends_at > %(now)s) "
                "AND p.starts_at < coalesce(p.ends_at, 'infinity') AND (%(ids)s::bigint[] IS NULL OR p.id = ANY (%(ids)s)) "
                "RETURNING p.sku_id",
                {"now": now, "by": by.label[:120], "shop": shop.pk, "ids": None if only is None else list(only)},
            )
            ended = [sku for (sku,) in cursor.fetchall()]
        if ended:
            one = {"sku": Sku.objects.values_list("code", flat=True).get(pk=ended[0])} if len(ended) == 1 else {}
            audit.record(action="library.private.end", by=by, target=shop.public_id, at=now, count=len(ended), **one)
            nudge()
        return len(ended)
