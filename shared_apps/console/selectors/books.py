"""The ledger as its explorer shows it: accounts, statements, a transfer with its proof, the trial balance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import BigIntegerField, Case, F, Func, Q, QuerySet, When
from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Missing
from kameng.lib.words import Sentence
from shared_apps.ledger.models import Account, Block, Control, DailyBalance, Transfer
from shared_apps.ledger.states import AccountClass
from shared_apps.splits.models import SplitRule


class AccountUnknown(Missing):
    """No such account."""

    code = "account_unknown"


class TransferUnknown(Missing):
    """No such transfer."""

    code = "transfer_unknown"


def sign(account_class: str) -> int:
    """+1 where a debit makes the account's own balance grow, −1 where a credit does."""
    return AccountClass(account_class).sign


def control() -> Control:
    """How far roll-up and seal are."""
    return Control.objects.get(pk=1)


def rule_in_force(now: datetime) -> SplitRule | None:
    """The version of the split rule that a sale of this moment goes by."""
    return SplitRule.objects.filter(effective_at__lte=now).first()


def rules() -> QuerySet[SplitRule]:
    """Every version of the split rule, the one that begins last first."""
    return SplitRule.objects.all()


def rule(version: int) -> SplitRule | None:
    return SplitRule.objects.filter(pk=version).first()


def accounts(
    *, query: str = "", account_class: str = "", substation_id: int | None = None, currency: str = ""
) -> QuerySet[Account]:
    """Accounts with `balance_minor` (debit positive) and `own_minor` (on the account's own side), as of this moment."""
    balance = Func(F("id"), function="public.ledger_balance_minor", output_field=BigIntegerField())
    debit_side = Q(account_class__in=(AccountClass.ASSET, AccountClass.EXPENSE))
    rows = Account.objects.annotate(balance_minor=balance).annotate(own_minor=_own(debit_side)).order_by("code")
    for word in query.split():
        rows = rows.filter(code__icontains=word)
    if account_class:
        rows = rows.filter(account_class=account_class)
    if substation_id is not None:
        rows = rows.filter(substation_id=substation_id)
    return rows.filter(currency=currency) if currency else rows


def _own(debit_side: Q) -> Any:
    return Case(When(debit_side, then=F("balance_minor")), default=-F("balance_minor"), output_field=BigIntegerField())


def account(code: str) -> Account:
    """One account with its balances. Raises: AccountUnknown."""
    found = accounts().filter(code=code).first()
    if found is None:
        raise AccountUnknown(_("There is no such account."))
    return found


@dataclass(frozen=True)
class Line:
    """One leg on an account, in the account's own sign, with the balance after it."""

    transfer: str
    kind: str
    reference_type: str
    reference: str
    substation_id: int | None
    event_at: datetime
    own_minor: int
    after_minor: int


@dataclass(frozen=True)
class Statement:
    """An account over whole days, both included, in its own sign. opening + increases − decreases = closing."""

    first_day: date
    last_day: date
    opening_minor: int
    increases_minor: int
    decreases_minor: int
    closing_minor: int
    count: int
    lines: Sequence[Line]


# Entries before `cut` were recorded before the period began, so that none of them belongs to it.
_FROM = """FROM ledger_entry e JOIN ledger_transfer t ON t.id = e.transfer_id
WHERE e.account_id = %(account)s AND t.event_at >= %(since)s AND t.event_at < %(until)s
  AND e.xid >= coalesce((SELECT max(b.cut_xid) FROM ledger_block b WHERE b.sealed_at < %(since)s), 0)"""
_TOTALS = f"""SELECT count(*), coalesce(sum(e.amount_minor) FILTER (WHERE e.amount_minor * %(sign)s > 0), 0)::bigint,
       coalesce(sum(e.amount_minor) FILTER (WHERE e.amount_minor * %(sign)s < 0), 0)::bigint {_FROM}"""
_LINES = f"""SELECT t.public_id, t.kind, t.reference_type, t.reference, t.substation_id, t.event_at,
       e.amount_minor * %(sign)s,
       (%(opening)s + sum(e.amount_minor * %(sign)s) OVER (ORDER BY t.event_at, t.id, e.leg))::bigint
{_FROM} ORDER BY t.event_at DESC, t.id DESC, e.leg DESC OFFSET %(offset)s LIMIT %(limit)s"""
# What was rolled up into days before the period, and what was not rolled up yet and belongs before it.
_OPENING = """SELECT coalesce((SELECT d.closing_minor FROM ledger_dailybalance d
    WHERE d.account_id = %(account)s AND d.day < %(first_day)s ORDER BY d.day DESC LIMIT 1), 0)
  + coalesce((SELECT sum(e.amount_minor) FROM ledger_entry e JOIN ledger_transfer t ON t.id = e.transfer_id
    WHERE e.account_id = %(account)s AND e.xid >= c.rolled_to AND t.event_at < %(since)s), 0)::bigint
FROM ledger_control c"""


def statement(row: Account, *, first_day: date, last_day: date, offset: int = 0, limit: int = 50) -> Statement:
    """An account's lines over whole days of the ledger's zone, newest first, with opening and closing balance."""
    zone = ZoneInfo(control().zone)
    way = sign(row.account_class)
    given: dict[str, Any] = {
        "account": row.pk, "sign": way, "first_day": first_day, "offset": offset, "limit": limit,
        "since": datetime.combine(first_day, time.min, zone),
        "until": datetime.combine(last_day + timedelta(days=1), time.min, zone),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_OPENING, given)
        opening = int(cursor.fetchone()[0]) * way
        cursor.execute(_TOTALS, given)
        count, increases, decreases = cursor.fetchone()
        cursor.execute(_LINES, {**given, "opening": opening})
        lines = [Line(*found) for found in cursor.fetchall()]
    up, down = int(increases) * way, -int(decreases) * way
    return Statement(first_day, last_day, opening, up, down, opening + up - down, int(count), lines)


def transfers(
    *,
    query: str = "",
    kind: str = "",
    substation_id: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[Transfer]:
    """Transfers; `query` is an id, an idempotency key or a reference (an order's number, a receipt's id)."""
    rows = Transfer.objects.all()
    text = query.strip()
    if text:
        rows = rows.filter(Q(public_id=text) | Q(idempotency_key=text) | Q(reference=text) | Q(reference=text.upper()))
    if kind:
        rows = rows.filter(kind=kind)
    if substation_id is not None:
        rows = rows.filter(substation_id=substation_id)
    if since is not None:
        rows = rows.filter(event_at__gte=since)
    return rows if until is None else rows.filter(event_at__lt=until)


def transfers_of_case(*, case: str, receipt: str, refunds: Sequence[str]) -> QuerySet[Transfer]:
    """What a payment case moved, by the keys under which its deeds are posted; in the order of posting."""
    keys = [f"case:{receipt}", *[f"{deed}:{case}" for deed in ("credit", "charge", "returned")]]
    for refund in refunds:
        keys += [f"refund:{refund}", f"refund:{refund}:channel"]
    return Transfer.objects.filter(idempotency_key__in=keys).order_by("pk")


@dataclass(frozen=True)
class Leg:
    """One leg: signed minor units, debit positive."""

    leg: int
    code: str
    account_class: str
    currency: str
    amount_minor: int

    @property
    def debit_minor(self) -> int | None:
        return self.amount_minor if self.amount_minor > 0 else None

    @property
    def credit_minor(self) -> int | None:
        return -self.amount_minor if self.amount_minor < 0 else None


def transfer(public_id: str) -> Transfer:
    """Raises: TransferUnknown."""
    found = Transfer.objects.filter(public_id=public_id).first()
    if found is None:
        raise TransferUnknown(_("There is no such transfer."))
    return found


def transfer_id_of(public_id: str) -> int | None:
    return Transfer.objects.filter(public_id=public_id).values_list("pk", flat=True).first()


def related_transfers(row: Transfer) -> tuple[Transfer | None, list[Transfer]]:
    """The earlier transfer that this one is about, and the later ones that are about it."""
    earlier = Transfer.objects.filter(pk=row.related_id).first() if row.related_id else None
    return earlier, list(Transfer.objects.filter(related_id=row.pk).order_by("pk"))


def legs(transfer_ids: Sequence[int]) -> dict[int, list[Leg]]:
    """The legs of transfers, in their order."""
    out: dict[int, list[Leg]] = {pk: [] for pk in transfer_ids}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.transfer_id, e.leg, a.code, a.class, e.currency, e.amount_minor FROM ledger_entry e "
            "JOIN ledger_account a ON a.id = e.account_id WHERE e.transfer_id = ANY (%s) ORDER BY e.transfer_id, e.leg",
            [list(transfer_ids)],
        )
        for transfer_id, *rest in cursor.fetchall():
            out[transfer_id].append(Leg(*rest))
    return out


@dataclass(frozen=True)
class Proof:
    """A transfer's place in the chain. `None` of a comparison: not sealed yet."""

    height: int
    sealed_at: datetime
    leaf_hash: str
    leaf_now: str
    block_hash: str
    block_now: str
    previous_hash: str
    previous_now: str
    leaf_count: int

    @property
    def holds(self) -> bool:
        """Do leaf, block and the link to the block before say what was sealed?"""
        return (
            self.leaf_hash == self.leaf_now
            and self.block_hash == self.block_now
            and self.previous_hash == self.previous_now
        )


_PROOF = """SELECT b.height, b.sealed_at, encode(l.leaf_hash, 'hex'),
    coalesce((SELECT encode(n.leaf_hash, 'hex') FROM public.ledger_leaves(t.xid, t.xid + 1) n
              WHERE n.transfer_id = t.id), ''),
    encode(b.block_hash, 'hex'),
    encode(public.ledger_block_hash(b.previous_hash, b.height, b.first_xid, b.cut_xid,
        (SELECT string_agg(x.leaf_hash, ''::bytea ORDER BY x.transfer_id) FROM ledger_leaf x
         WHERE x.height = b.height)), 'hex'),
    encode(b.previous_hash, 'hex'),
    coalesce((SELECT encode(p.block_hash, 'hex') FROM ledger_block p WHERE p.height = b.height - 1), repeat('00', 32)),
    b.leaf_count
FROM ledger_transfer t JOIN ledger_leaf l ON l.transfer_id = t.id JOIN ledger_block b ON b.height = l.height
WHERE t.id = %s"""


def proof(row: Transfer) -> Proof | None:
    """The hashes that were sealed beside those that the tables give now; None while the transfer is not sealed."""
    with connection.cursor() as cursor:
        cursor.execute(_PROOF, [row.pk])
        found = cursor.fetchone()
    return Proof(*found) if found else None


@dataclass(frozen=True)
class TrialLine:
    """Accounts of one class and currency together, debit positive."""

    account_class: str
    currency: str
    accounts: int
    debit_minor: int
    credit_minor: int

    @property
    def class_words(self) -> Sentence:
        return AccountClass(self.account_class).label


def trial_balance() -> list[TrialLine]:
    """Debit and credit balances by class and currency, this moment; each currency's columns are equal."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH tail AS (SELECT e.account_id, sum(e.amount_minor) AS amount FROM ledger_entry e, ledger_control c
                   WHERE e.xid >= c.rolled_to GROUP BY 1),
               now AS (SELECT a.class, a.currency, coalesce(b.balance_minor, 0) + coalesce(t.amount, 0) AS balance
                   FROM ledger_account a LEFT JOIN ledger_balance b ON b.account_id = a.id
                   LEFT JOIN tail t ON t.account_id = a.id)
               SELECT class, currency, count(*), coalesce(sum(balance) FILTER (WHERE balance > 0), 0)::bigint,
                      -coalesce(sum(balance) FILTER (WHERE balance < 0), 0)::bigint
               FROM now GROUP BY class, currency ORDER BY currency, class"""
        )
        return [TrialLine(*row) for row in cursor.fetchall()]


@dataclass(frozen=True)
class SealedLeaf:
    """One transfer of a block with the hash that was sealed and the one that its rows give now."""

    public_id: str
    kind: str
    reference: str
    event_at: datetime
    leaf_hash: str
    leaf_now: str


def block(height: int) -> Block | None:
    return Block.objects.filter(height=height).first()


def block_hash_now(row: Block) -> str:
    """The block's hash over the leaves that were sealed, computed anew."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT encode(public.ledger_block_hash(b.previous_hash, b.height, b.first_xid, b.cut_xid, "
            "(SELECT string_agg(x.leaf_hash, ''::bytea ORDER BY x.transfer_id) FROM ledger_leaf x "
            "WHERE x.height = b.height)), 'hex') FROM ledger_block b WHERE b.height = %s",
            [row.height],
        )
        return str(cursor.fetchone()[0])


def leaves(row: Block, *, offset: int = 0, limit: int = 50) -> list[SealedLeaf]:
    """The transfers of a block in the order in which they were sealed. Gone ones are not among them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.public_id, t.kind, t.reference, t.event_at, encode(l.leaf_hash, 'hex'), "
            "coalesce((SELECT encode(n.leaf_hash, 'hex') FROM public.ledger_leaves(t.xid, t.xid + 1) n "
            "WHERE n.transfer_id = t.id), '') FROM ledger_leaf l JOIN ledger_transfer t ON t.id = l.transfer_id "
            "WHERE l.height = %s ORDER BY l.transfer_id OFFSET %s LIMIT %s",
            [row.height, offset, limit],
        )
        return [SealedLeaf(*found) for found in cursor.fetchall()]


def blocks() -> QuerySet[Block]:
    """The chain, the newest block first."""
    return Block.objects.order_by("-height")


def days(row: Account, *, first_day: date | None = None, last_day: date | None = None) -> QuerySet[DailyBalance]:
    """The rolled-up days of an account on which something moved, in their order."""
    rows = DailyBalance.objects.filter(account_id=row.pk).order_by("day")
    if first_day is not None:
        rows = rows.filter(day__gte=first_day)
    return rows if last_day is None else rows.filter(day__lte=last_day)


def clearing_balances() -> dict[str, tuple[str, str, int]]:
    """What each channel owes: channel → (account's code, currency, minor units), in the network's currency first."""
    found: dict[str, tuple[str, str, int]] = {}
    for row in accounts(account_class=AccountClass.ASSET).filter(code__startswith="channel:"):
        channel = row.code.split(":")[1]
        found.setdefault(channel, (row.code, row.currency, row.own_minor))  # type: ignore[attr-defined]
    return found
