"""Give a sale back, in whole or in part, as often as something of it is left.

Every part gives back in proportion to what it has left of this sale. The substation's part comes out of `pending`, then
out of `available`; what neither holds becomes its debt (`receivable`), which the next settlement takes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Refused
from shared_apps.ledger import services as ledger
from shared_apps.ledger.states import Kind, Relation
from shared_apps.ledger.types import Leg, Posted
from shared_apps.splits.arithmetic import refund_parts

SUBSIDY = "main:subsidy"


class RefundRefused(Refused):
    """More than is left of the sale, nothing at all, or no sale; `details["left_minor"]` says what is left."""

    code = "refund_refused"


@dataclass(frozen=True)
class SaleLeft:
    """What is left of one sale. Minor units, none negative; `source` + subsidy equals the sum of the parts.

    `parts` are the accounts that earned by the sale; the substation's stands under its `pending`, wherever it was
    given back from.
    """

    id: int
    reference_type: str
    reference: str
    substation_id: int
    rule_version: int | None
    currency: str
    source: str
    source_minor: int
    subsidy_minor: int
    parts: tuple[tuple[str, int], ...]


def refund_sale(
    *, key: str, sale_id: int, amount_minor: int, event_at: datetime, memo: dict[str, Any] | None = None
) -> Posted:
    """Give `amount_minor` of a sale back to where its money came from. Main station's scope, in a transaction.

    The same key with the same sale and amount answers the first result. Raises RefundRefused (nothing is posted),
    and what `post_transfer` raises.
    """
    with transaction.atomic():
        # Whoever else refunds this sale waits here: what is left is counted under the lock.
        ledger.lock_transfer(transfer_id=sale_id)
        again = _posted_before(key, sale_id, amount_minor)
        if again is not None:
            return again
        left = sale_left(sale_id)
        if not 0 < amount_minor <= left.source_minor:
            raise RefundRefused(
                _("There is not that much left of this sale to refund."), details={"left_minor": left.source_minor}
            )
        back_to_subsidy = left.subsidy_minor * amount_minor // left.source_minor
        back = refund_parts(
            gross_minor=left.source_minor + left.subsidy_minor,
            refund_minor=amount_minor + back_to_subsidy,
            remaining=[part for _code, part in left.parts],
        )
        legs = [Leg(left.source, -amount_minor), Leg(SUBSIDY, -back_to_subsidy)]
        for (code, _left), part in zip(left.parts, back, strict=True):
            own = code == pending_of(left.substation_id)
            legs += _out_of_the_substation(left.substation_id, part) if own else [Leg(code, part)]
        return ledger.post_transfer(
            key=key, kind=Kind.REFUND, legs=[leg for leg in legs if leg.amount_minor], currency=left.currency,
            event_at=event_at, reference_type=left.reference_type, reference=left.reference,
            substation_id=left.substation_id, rule_version=left.rule_version, memo=memo, relation=Relation.REFUNDS,
            related_id=sale_id,
        )  # fmt: skip


def sale_left(sale_id: int) -> SaleLeft:
    """What the parties still have of a sale. Raises RefundRefused when the transfer is no sale of a substation's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.reference_type, t.reference, t.substation_id, t.split_rule_version FROM ledger_transfer t "
            "WHERE t.id = %s AND t.kind = %s AND t.substation_id IS NOT NULL",
            [sale_id, Kind.SALE],
        )
        sale = cursor.fetchone()
        if sale is None:
            raise RefundRefused(_("This is not a sale that could be refunded."))
        cursor.execute(
            "SELECT CASE WHEN a.substation_id = %(shop)s THEN %(pending)s ELSE a.code END AS code, min(e.currency), "
            "sum(e.amount_minor) FILTER (WHERE e.transfer_id = %(sale)s)::bigint, sum(e.amount_minor)::bigint "
            "FROM ledger_transfer t JOIN ledger_entry e ON e.transfer_id = t.id "
            "JOIN ledger_account a ON a.id = e.account_id "
            "WHERE t.id = %(sale)s OR (t.related_id = %(sale)s AND t.relation = 'REFUNDS') GROUP BY 1 ORDER BY 1",
            {"sale": sale_id, "shop": sale[2], "pending": pending_of(sale[2])},
        )
        rows = cursor.fetchall()
    sources = [(code, left) for code, _currency, at_sale, left in rows if (at_sale or 0) > 0 and code != SUBSIDY]
    if len(sources) != 1:
        raise RefundRefused(_("This is not a sale that could be refunded."))
    return SaleLeft(
        id=sale_id, reference_type=sale[0], reference=sale[1], substation_id=sale[2], rule_version=sale[3],
        currency=rows[0][1], source=sources[0][0], source_minor=sources[0][1],
        subsidy_minor=sum(left for code, _currency, _at_sale, left in rows if code == SUBSIDY),
        parts=tuple((code, -left) for code, _currency, at_sale, left in rows if (at_sale or 0) < 0),
    )  # fmt: skip


def pending_of(substation_id: int) -> str:
    """The account that a substation's sales are credited to."""
    return f"substation:{substation_id}:pending"


def _posted_before(key: str, sale_id: int, amount_minor: int) -> Posted | None:
    """The refund that this key stands for. Raises IdempotencyConflict when it was another one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.id, t.public_id, t.related_id, t.relation, -e.amount_minor FROM ledger_transfer t "
            "JOIN ledger_entry e ON e.transfer_id = t.id AND e.leg = 1 WHERE t.idempotency_key = %s",
            [key],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    if row[2:] != (sale_id, Relation.REFUNDS, amount_minor):  # The first leg is the source's.
        raise ledger.IdempotencyConflict(_("This was posted before with other amounts. Nothing was moved."))
    return Posted(id=row[0], public_id=row[1], created=False)


def _out_of_the_substation(substation_id: int, part_minor: int) -> Sequence[Leg]:
    """`part_minor` from pending, then available, the rest as a debt; under the locks of both accounts."""
    own = f"substation:{substation_id}"
    owed = ledger.lock_accounts(codes=[f"{own}:pending", f"{own}:available"])
    legs, rest = [], part_minor
    for code in (f"{own}:pending", f"{own}:available"):
        taken = min(rest, max(-owed.get(code, 0), 0))  # A liability: what we owe is a credit.
        legs.append(Leg(code, taken))
        rest -= taken
    return [*legs, Leg(f"{own}:receivable", rest)]
