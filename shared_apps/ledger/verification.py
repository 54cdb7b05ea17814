"""Prove the ledger: every block from its tables, every transfer to zero, every balance from its entries.

A superuser who edits two legs so that all sums still hold changes the transfer's leaf, and with it the block: the
block, the transfer and the legs are named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.db import connection

from kameng.db.context import long_statements
from shared_apps.ledger.types import Broken, Verdict

NAMED = 50  # How many broken transfers of one block are named.
Progress = Callable[[int, int], None]


def verify(progress: Progress | None = None, heads: Mapping[int, str] | None = None) -> Verdict:
    """Read everything and compare. Main station's scope.

    Each comparison is one statement, with one snapshot: what is posted, rolled up or sealed meanwhile breaks nothing.
    `heads`: hashes in hexadecimal by height, as they were exported: a chain that was rewritten whole, and fits itself,
    does not fit them.
    """
    with long_statements(4 * 3600), connection.cursor() as cursor:
        broken: list[Broken] = []
        head = _check_chain(cursor, broken, progress)
        _check_heads(cursor, broken, heads)
        _check_sums(cursor, broken)
        _check_balances(cursor, broken)
        cursor.execute(
            "SELECT (SELECT count(*) FROM ledger_transfer), (SELECT count(*) FROM ledger_entry), "
            "(SELECT count(*) FROM ledger_block), (SELECT count(*) FROM ledger_transfer t, ledger_control c "
            "WHERE t.xid >= c.sealed_to)"
        )
        transfers, entries, blocks, unsealed = cursor.fetchone()
    return Verdict(transfers, entries, blocks, unsealed, head, tuple(broken))


def _check_chain(cursor: object, broken: list[Broken], progress: Progress | None) -> str:
    """Recompute each block from the transfers and legs as they are now."""
    run = cursor.execute  # type: ignore[attr-defined]
    fetch = cursor.fetchall  # type: ignore[attr-defined]
    run("SELECT height, first_xid, cut_xid, previous_hash, block_hash, leaf_count FROM ledger_block ORDER BY height")
    blocks = fetch()
    previous, expected_first = bytes(32), None
    for height, first, cut, kept_previous, kept_hash, kept_count in blocks:
        if bytes(kept_previous) != previous or (expected_first is not None and first != expected_first):
            broken.append(Broken("does not follow the block before it", height))
        run(
            "WITH found AS (SELECT * FROM public.ledger_leaves(%s, %s)) SELECT count(*), public.ledger_block_hash("
            "%s, %s, %s, %s, string_agg(leaf_hash, ''::bytea ORDER BY transfer_id)) FROM found",
            [first, cut, previous, height, first, cut],
        )
        count, computed = fetch()[0]
        if count != kept_count:
            broken.append(Broken(f"was sealed with {kept_count} transfers and holds {count}", height))
        if computed is None or bytes(computed) != bytes(kept_hash):
            _name_changed(cursor, broken, height, first, cut)
        previous, expected_first = bytes(kept_hash), cut
        if progress is not None:
            progress(height, len(blocks))
    run("SELECT c.sealed_to <> coalesce((SELECT max(b.cut_xid) FROM ledger_block b), 0) FROM ledger_control c")
    if fetch()[0][0]:
        broken.append(Broken("the chain does not end where the sealer stopped: a block was removed or added"))
    return previous.hex()


def _check_heads(cursor: object, broken: list[Broken], heads: Mapping[int, str] | None) -> None:
    """Each exported head is still the hash of its block; the first that is not is where the chain was rewritten."""
    if not heads:
        return
    run = cursor.execute  # type: ignore[attr-defined]
    run("SELECT height, encode(block_hash, 'hex') FROM ledger_block")
    kept = dict(cursor.fetchall())  # type: ignore[attr-defined]
    for height in sorted(heads):
        if kept.get(height) != heads[height]:
            what = "is not the block whose head was exported" if height in kept else "was exported and is gone"
            broken.append(Broken(what, height))
            return


def _name_changed(cursor: object, broken: list[Broken], height: int, first: int, cut: int) -> None:
    """Which transfers of a broken block differ from their leaves, and in which legs."""
    run = cursor.execute  # type: ignore[attr-defined]
    run(
        "SELECT coalesce(t.public_id, 'transfer ' || k.transfer_id), k.transfer_id IS NULL, n.transfer_id IS NULL, "
        "k.marks, n.marks FROM (SELECT * FROM ledger_leaf WHERE height = %s) k "
        "FULL JOIN (SELECT * FROM public.ledger_leaves(%s, %s)) n ON n.transfer_id = k.transfer_id "
        "LEFT JOIN ledger_transfer t ON t.id = coalesce(n.transfer_id, k.transfer_id) "
        "WHERE k.leaf_hash IS DISTINCT FROM n.leaf_hash ORDER BY coalesce(k.transfer_id, n.transfer_id) LIMIT %s",
        [height, first, cut, NAMED],
    )
    rows = cursor.fetchall()  # type: ignore[attr-defined]
    if not rows:
        broken.append(Broken("its own hash was changed", height))
    for name, added, removed, kept, now in rows:
        what = "a transfer was added" if added else "a transfer was removed" if removed else "a transfer was changed"
        legs = () if added or removed else _changed_legs(bytes(kept), bytes(now))
        broken.append(Broken(what, height, name, legs))


def _changed_legs(kept: bytes, now: bytes) -> tuple[int, ...]:
    """Numbers of the legs whose eight-byte marks differ."""
    count = max(len(kept), len(now)) // 8
    return tuple(leg + 1 for leg in range(count) if kept[leg * 8 : leg * 8 + 8] != now[leg * 8 : leg * 8 + 8])


def _check_sums(cursor: object, broken: list[Broken]) -> None:
    """Every transfer sums to zero in each currency, and so does the whole."""
    run = cursor.execute  # type: ignore[attr-defined]
    run(
        "SELECT t.public_id, e.currency, sum(e.amount_minor) FROM ledger_entry e JOIN ledger_transfer t "
        "ON t.id = e.transfer_id GROUP BY t.public_id, e.currency HAVING sum(e.amount_minor) <> 0 LIMIT %s",
        [NAMED],
    )
    for name, currency, total in cursor.fetchall():  # type: ignore[attr-defined]
        broken.append(Broken(f"its legs sum to {total} {currency}, not to zero", None, name))
    run(
        "SELECT t.public_id, count(e.leg) FROM ledger_transfer t LEFT JOIN ledger_entry e ON e.transfer_id = t.id "
        "GROUP BY t.public_id HAVING count(e.leg) < 2 LIMIT %s",
        [NAMED],
    )
    for name, legs in cursor.fetchall():  # type: ignore[attr-defined]
        broken.append(Broken(f"it has {legs} legs", None, name))
    run(
        "SELECT 'transfer ' || e.transfer_id FROM ledger_entry e LEFT JOIN ledger_transfer t ON t.id = e.transfer_id "
        "WHERE t.id IS NULL GROUP BY e.transfer_id LIMIT %s",
        [NAMED],
    )
    for (name,) in cursor.fetchall():  # type: ignore[attr-defined]
        broken.append(Broken("its legs are there, and it is not", None, name))


def _check_balances(cursor: object, broken: list[Broken]) -> None:
    """Every rolled-up balance and every account's last day equal the entries before the roll-up's cut."""
    run = cursor.execute  # type: ignore[attr-defined]
    run(
        "SELECT a.code, coalesce(b.balance_minor, 0), coalesce(s.total, 0), coalesce(d.closing_minor, 0) "
        "FROM ledger_account a LEFT JOIN ledger_balance b ON b.account_id = a.id "
        "LEFT JOIN (SELECT e.account_id, sum(e.amount_minor) AS total FROM ledger_entry e, ledger_control c "
        "           WHERE e.xid < c.rolled_to GROUP BY e.account_id) s ON s.account_id = a.id "
        "LEFT JOIN LATERAL (SELECT x.closing_minor FROM ledger_dailybalance x WHERE x.account_id = a.id "
        "                   ORDER BY x.day DESC LIMIT 1) d ON true "
        "WHERE coalesce(b.balance_minor, 0) <> coalesce(s.total, 0) "
        "   OR coalesce(d.closing_minor, 0) <> coalesce(s.total, 0) LIMIT %s",
        [NAMED],
    )
    for code, rolled, true, day in cursor.fetchall():  # type: ignore[attr-defined]
        broken.append(
            Broken(f"account {code} was rolled up to {rolled}, its last day closes at {day}, its entries give {true}")
        )
