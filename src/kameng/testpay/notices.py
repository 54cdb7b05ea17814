"""Callbacks: signed, repeated with growing gaps until answered, and, by switches, twice, late, out of order or never.

A notice is a row written in the transaction of what it tells. `tick(now)` sends what is due, so tests drive time.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from . import keys
from .store import Store

# Seconds from one try to the next: 15 tries over some 15 hours, the pattern of WeChat Pay and Alipay.
RETRY_AFTER_S = (1, 2, 5, 15, 60, 180, 600, 1200, 1800, 3600, 7200, 10800, 14400, 14400)
MAX_TRIES = len(RETRY_AFTER_S) + 1
REORDER_WAIT_S = 10  # A lone notice of a reordered payment waits this long for one to be overtaken by.
WHOLE_NETWORK = "*"  # The row of `switches` that new payments without their own follow.
PARALLEL = 8

Send = Callable[[str, Mapping[str, str], bytes], "Reply"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a merchant answered; status 0 when it could not be reached or was silent."""

    status: int
    body: bytes

    @property
    def accepted(self) -> bool:
        """The constant reply, and nothing else, ends the calling."""
        return self.status == 200 and self.body.strip() == b"success"


@dataclass(frozen=True, slots=True)
class Switches:
    """How the notices of a payment misbehave.

    duplicate: each is sent once more after it was accepted. delay_s: the first try waits. reorder: the newest goes
    first. hold: none is sent until it is off again. drop: those made while it is on are never sent.
    """

    duplicate: bool = False
    delay_s: float = 0
    reorder: bool = False
    hold: bool = False
    drop: bool = False

    def changed(self, wishes: Mapping[str, Any]) -> Switches:
        """These with some set anew. Raises ValueError for an unknown name or a value of the wrong kind."""
        known = {entry.name for entry in fields(self)}
        for name, value in wishes.items():
            if name not in known:
                raise ValueError(f"unknown switch {name!r}; there are {', '.join(sorted(known))}")
            if name == "delay_s":
                if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86_400:
                    raise ValueError("delay_s must be a number from 0 to 86400")
            elif not isinstance(value, bool):
                raise ValueError(f"{name} must be true or false")
        return replace(self, **wishes)


class Notices:
    """The outbox of the channel."""

    def __init__(self, store: Store, master: str, clock: Callable[[], float], send: Send) -> None:
        self._store = store
        self._master = master
        self._clock = clock
        self._send = send
        self._one_round = threading.Lock()
        self.changed = threading.Event()  # Set when there is something new to send; the program's loop waits on it.

    def emit(self, payment: str, event: str, *, account: str, payment_view: Mapping[str, Any]) -> None:
        """Write down that a merchant is to be told. Call inside the transaction of what happened."""
        now = self._clock()
        switches = self.switches(payment)
        event_id = f"evt_{secrets.token_hex(12)}"
        body = json.dumps(
            {"id": event_id, "object": "event", "type": event, "account": account, "created": int(now),
             "data": {"payment": payment_view}},
            ensure_ascii=False,
        ).encode()  # fmt: skip
        self._store.run(
            "INSERT INTO notice (event_id, payment_id, type, body, created_at, state, wanted, next_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (event_id, payment, event, body, now, "DROPPED" if switches.drop else "PENDING",
             2 if switches.duplicate else 1, now + switches.delay_s),
        )  # fmt: skip
        self.changed.set()

    def switches(self, payment: str) -> Switches:
        """A payment's own switches, else those of the whole network."""
        row = self._store.row("SELECT value FROM switches WHERE payment_id = ?", (payment,)) or self._store.row(
            "SELECT value FROM switches WHERE payment_id = ?", (WHOLE_NETWORK,)
        )
        return Switches(**json.loads(row["value"])) if row else Switches()

    def set_switches(self, payment: str, wishes: Mapping[str, Any]) -> Switches:
        """Set some switches of a payment (or of `WHOLE_NETWORK`). Raises ValueError."""
        with self._store.transaction():
            switches = self.switches(payment).changed(wishes)
            self._store.run("REPLACE INTO switches VALUES (?, ?)", (payment, json.dumps(asdict(switches))))
        self.changed.set()
        return switches

    def send_again(self, payment: str) -> int:
        """Send every notice of a payment once more, accepted, given up or dropped alike; how many."""
        count = self._store.run(
            "UPDATE notice SET state = 'PENDING', wanted = answered + 1, tries = answered, next_at = ?"
            " WHERE payment_id = ?",
            (self._clock(), payment),
        )
        self.changed.set()
        return count

    def tick(self, now: float) -> int:
        """Send what is due at `now`, a payment's notices in order and several payments at a time; how many tries."""
        with self._one_round:
            by_payment: dict[str, list[sqlite3.Row]] = defaultdict(list)
            for row in self._store.rows(
                "SELECT notice.*, payment.account, payment.notify_url FROM notice"
                " JOIN payment ON payment.id = notice.payment_id"
                " WHERE state = 'PENDING' AND next_at <= ? ORDER BY seq",
                (now,),
            ):
                by_payment[row["payment_id"]].append(row)
            lines = [due for payment, rows in by_payment.items() if (due := self._sendable(payment, rows, now))]
            if len(lines) <= 1:
                return sum(self._send_line(line, now) for line in lines)
            with ThreadPoolExecutor(max_workers=min(PARALLEL, len(lines))) as pool:
                return sum(pool.map(lambda line: self._send_line(line, now), lines))

    def _sendable(self, payment: str, due: list[sqlite3.Row], now: float) -> list[sqlite3.Row]:
        switches = self.switches(payment)
        if switches.hold:
            return []
        if not switches.reorder:
            return due
        row = self._store.row("SELECT count(*) AS notices FROM notice WHERE payment_id = ?", (payment,))
        alone = row is not None and row["notices"] == 1
        if alone and now - due[0]["created_at"] < REORDER_WAIT_S:
            return []
        return due[::-1]

    def _send_line(self, line: list[sqlite3.Row], now: float) -> int:
        tries = 0
        for notice in line:
            for _ in range(notice["wanted"] - notice["answered"]):  # The duplicate follows at once.
                tries += 1
                if not self._try(notice["seq"], notice, now):
                    break
        return tries

    def _try(self, seq: int, notice: sqlite3.Row, now: float) -> bool:
        secret = keys.merchant_secret(self._master, notice["account"])
        headers = {
            "Content-Type": "application/json",
            keys.CALLBACK_HEADER: keys.callback_signature(secret, timestamp=int(now), body=notice["body"]),
        }
        reply = self._send(notice["notify_url"], headers, notice["body"])
        with self._store.transaction():
            self._store.run(
                "INSERT INTO attempt (notice_seq, at, status, answer) VALUES (?, ?, ?, ?)",
                (seq, now, reply.status, reply.body[:200].decode("utf-8", "replace")),
            )
            self._store.run(
                "UPDATE notice SET tries = tries + 1, answered = answered + ? WHERE seq = ?", (int(reply.accepted), seq)
            )
            self._plan(seq, now)
        return reply.accepted

    def _plan(self, seq: int, now: float) -> None:
        row = self._store.row("SELECT wanted, answered, tries FROM notice WHERE seq = ?", (seq,))
        assert row is not None  # Notices are never deleted.
        failures = row["tries"] - row["answered"]
        if row["answered"] >= row["wanted"]:
            self._store.run("UPDATE notice SET state = 'DONE' WHERE seq = ?", (seq,))
        elif failures >= MAX_TRIES:
            self._store.run("UPDATE notice SET state = 'GAVE_UP' WHERE seq = ?", (seq,))
        elif failures:
            self._store.run("UPDATE notice SET next_at = ? WHERE seq = ?", (now + RETRY_AFTER_S[failures - 1], seq))
