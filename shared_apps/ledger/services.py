"""Everything that writes the ledger, each a call of one function of the database, in the main station's scope.

The rules are the database's (sql/definitions); what is here gives them names and turns their refusals into errors.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections, transaction
from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Refused
from shared_apps.ledger.types import Leg, Posted, Request


class LedgerRefused(Refused):
    """The family of the ledger's refusals; nothing is posted. `details["sqlstate"]` is the rule's own code."""

    code = "ledger_refused"


class Unbalanced(LedgerRefused):
    code = "unbalanced"


class AccountRefused(LedgerRefused):
    """No such account, a closed one, or one of another currency or of other attributes."""

    code = "account_refused"


class InsufficientBalance(LedgerRefused):
    """A guarded account would fall below its floor."""

    code = "insufficient_balance"


class IdempotencyConflict(LedgerRefused):
    """The same key with another payload."""

    code = "idempotency_conflict"


class RelationRefused(LedgerRefused):
    """The earlier transfer is reversed, resolved, or has not that much left."""

    code = "relation_refused"


class BehindItself(LedgerRefused):
    """A restored server's transaction ids run behind the ledger's: `kameng ledger rebase` first."""

    code = "rebase_needed"


_KINDS: dict[str, tuple[type[LedgerRefused], Any]] = {
    "KG101": (Unbalanced, _("The legs of the transfer do not sum to zero.")),
    "KG102": (Unbalanced, _("A transfer has two legs or more, none of them zero.")),
    "KG103": (AccountRefused, _("There is no such ledger account.")),
    "KG104": (AccountRefused, _("The ledger account is closed.")),
    "KG105": (AccountRefused, _("The ledger account has another currency.")),
    "KG106": (InsufficientBalance, _("There is not enough on the account. Nothing was moved.")),
    "KG107": (IdempotencyConflict, _("This was posted before with other amounts. Nothing was moved.")),
    "KG109": (BehindItself, _("The ledger is ahead of this server: run “kameng ledger rebase”.")),
    "KG110": (AccountRefused, _("The ledger account exists with other attributes.")),
    "KG111": (RelationRefused, _("The earlier transfer does not allow it.")),
    "KG112": (LedgerRefused, _("A guarded account can't be moved in this transaction.")),
    "KG113": (AccountRefused, _("The ledger account is not empty.")),
    "KG115": (LedgerRefused, _("There is nothing to rebase.")),
}


@contextmanager
def refusals(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Turn the database's refusals within into ours; anything else passes as it is."""
    try:
        with transaction.atomic(using=using):
            yield
    except DatabaseError as error:
        sqlstate = str(getattr(error.__cause__, "pgcode", ""))
        if sqlstate not in _KINDS:
            raise
        kind, message = _KINDS[sqlstate]
        raise kind(message, details={"sqlstate": sqlstate, "said": str(error).splitlines()[0]}) from error


def _array(values: Iterable[object]) -> str:
    """An array as Postgres writes it. One literal is parsed in a tenth of the time of ARRAY[…] with its elements."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def open_account(
    *, code: str, account_class: str, currency: str, now: datetime, floor_minor: int | None = None,
    substation_id: int | None = None,
) -> int:  # fmt: skip
    """Open an account, or find it open with the same attributes; answers its id. Raises AccountRefused."""
    with refusals(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT public.ledger_open_account(%s, %s, %s, %s, %s, %s)",
            [code, account_class, currency, floor_minor, substation_id, now],
        )
        return int(cursor.fetchone()[0])


def post_transfer(
    *, key: str, kind: str, legs: Sequence[Leg], currency: str, event_at: datetime, reference_type: str = "",
    reference: str = "", substation_id: int | None = None, rule_version: int | None = None,
    memo: dict[str, Any] | None = None, relation: str | None = None, related_id: int | None = None,
) -> Posted:  # fmt: skip
    """Post one transfer, inside the caller's transaction or its own.

    The same key with the same payload answers the first result. Raises: Unbalanced, AccountRefused,
    InsufficientBalance, IdempotencyConflict, RelationRefused, BehindItself; nothing is posted then.
    """
    with refusals(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT transfer_id, public_id, created FROM public.ledger_post(%s, %s, %s, %s, %s, %s, %s::text[], "
            "%s::bigint[], %s::text[], %s, %s::jsonb, %s, %s)",
            [key, kind, reference_type, reference, substation_id, event_at, _array(leg.code for leg in legs),
             _array(leg.amount_minor for leg in legs), _array([currency]), rule_version, json.dumps(memo or {}),
             relation, related_id],
        )  # fmt: skip
        return Posted(*cursor.fetchone())


def post_many(*, requests: Sequence[Request], currency: str) -> tuple[Posted, ...]:
    """Post many transfers in one statement, all or none; what an outbox does where the shop need not wait.

    Answers one Posted a request, in their order. Keys differ within a batch. Raises what `post_transfer` raises.
    """
    if not requests:
        return ()
    codes = list(dict.fromkeys(leg.code for request in requests for leg in request.legs))
    places = {code: place for place, code in enumerate(codes, 1)}
    with refusals(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT transfer_id, public_id, created FROM public.ledger_post_many(%s::text[], %s::text[], %s::text[], "
            "%s::text[], %s::bigint[], %s::timestamptz[], %s::integer[], %s::jsonb[], %s::integer[], %s, %s::text[], "
            "%s::integer[], %s::bigint[]) ORDER BY n",
            [
                _array(request.key for request in requests),
                _array(request.kind for request in requests),
                _array(request.reference_type for request in requests),
                _array(request.reference for request in requests),
                _array(request.substation_id for request in requests),
                _array(request.event_at.isoformat() for request in requests),
                _array(request.rule_version for request in requests),
                _array(json.dumps(request.memo) for request in requests),
                _array(len(request.legs) for request in requests),
                currency,
                _array(codes),
                _array(places[leg.code] for request in requests for leg in request.legs),
                _array(leg.amount_minor for request in requests for leg in request.legs),
            ],
        )
        return tuple(Posted(*row) for row in cursor.fetchall())


def lock_accounts(*, codes: Sequence[str]) -> dict[str, int]:
    """Lock accounts against every other taker until the caller's transaction ends; their balances, debit positive.

    Call it in a transaction, before deciding by a balance. Raises LedgerRefused outside READ COMMITTED.
    """
    with refusals(), connection.cursor() as cursor:
        cursor.execute("SELECT code, balance_minor FROM public.ledger_lock(%s::text[])", [_array(codes)])
        return {code: int(balance) for code, balance in cursor.fetchall()}


def lock_transfer(*, transfer_id: int) -> None:
    """Keep every other session from reversing, resolving or refunding this transfer until the transaction ends.

    Raises RelationRefused when there is none.
    """
    with refusals(), connection.cursor() as cursor:
        cursor.execute("SELECT public.ledger_lock_transfer(%s)", [transfer_id])


def close_account(*, code: str) -> None:
    """Close an empty account for good. Raises AccountRefused when it is not there or not empty."""
    with refusals(), connection.cursor() as cursor:
        cursor.execute("SELECT public.ledger_close_account(%s)", [code])


def reverse_transfer(*, key: str, transfer_id: int, event_at: datetime, why: str) -> Posted:
    """Undo a transfer whole by a new one. Raises RelationRefused when it was reversed or built upon."""
    with refusals(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT transfer_id, public_id, created FROM public.ledger_reverse(%s, %s, 'reversal', %s, %s::jsonb)",
            [key, transfer_id, event_at, json.dumps({"why": why})],
        )
        return Posted(*cursor.fetchone())


def void_hold(*, key: str, hold_id: int, event_at: datetime) -> Posted:
    """Give a hold back. Exclusive with `post_hold` by a unique key. Raises RelationRefused."""
    with refusals(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT transfer_id, public_id, created FROM public.ledger_reverse(%s, %s, 'hold.void', %s, '{}'::jsonb, "
            "'RESOLVES')",
            [key, hold_id, event_at],
        )
        return Posted(*cursor.fetchone())


def post_hold(*, key: str, hold_id: int, legs: Sequence[Leg], currency: str, event_at: datetime) -> Posted:
    """Let a hold's money go where it was meant to. Exclusive with `void_hold`. Raises RelationRefused."""
    return post_transfer(
        key=key, kind="hold.post", legs=legs, currency=currency, event_at=event_at, relation="RESOLVES",
        related_id=hold_id,
    )  # fmt: skip


def roll_up(*, now: datetime) -> int:
    """Bring balances and days up to the horizon; answers how many entries were added. Safe to run twice at once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.ledger_roll_up(%s)", [now])
        return int(cursor.fetchone()[0])


def seal(*, now: datetime, size: int = 2000) -> int | None:
    """Seal one block; answers its height, or None when nothing waits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.ledger_seal(%s, %s)", [now, size])
        height = cursor.fetchone()[0]
        return int(height) if height is not None else None


def rebase() -> int:
    """After a restore onto another server: let the ledger's count go on from where it stood; answers by how much.

    On the owner's connection: no role that serves requests may do this. Raises LedgerRefused when nothing is to be done.
    """
    with refusals(settings.OWNER_ALIAS), connections[settings.OWNER_ALIAS].cursor() as cursor:
        cursor.execute("SELECT public.ledger_rebase()")
        return int(cursor.fetchone()[0])
