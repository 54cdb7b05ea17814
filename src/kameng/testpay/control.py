"""`/control`: what tests and demonstrations do to the channel, with `Authorization: Bearer <master secret>`.

POST /control/switches                     {"duplicate": true, …} for payments without switches of their own
POST /control/payments/tp_…/switches       {"delay_s": 30, "reorder": true, "hold": true, "drop": true}
POST /control/payments/tp_…/act            {"action": "pay", "method": "card", "delay_s": 0, "amount_minor": 0}
POST /control/payments/tp_…/release        let held notices go
POST /control/payments/tp_…/send-again     every notice once more
GET  /control/payments/tp_…                the payment with its switches, notices and tries
GET  /control/find?account=…&payment_id=…  the channel's id for a merchant's payment
GET  /control/payments?limit=50            the newest payments
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from . import keys
from .channel import Action, Channel, TestpayError
from .http_types import Request, Response, json_response
from .notices import WHOLE_NETWORK, Notices
from .store import Store

_ADDRESS = re.compile(r"/control/payments/(tp_[0-9a-f]{24})(?:/(switches|act|release|send-again))?")


class Control:
    """Routes of `/control`."""

    def __init__(self, channel: Channel, notices: Notices, store: Store, master: str) -> None:
        self._channel = channel
        self._notices = notices
        self._store = store
        self._master = master

    def answer(self, request: Request) -> Response:
        """Authenticate, route, answer. Raises TestpayError."""
        if not keys.same(request.headers.get("authorization", ""), f"Bearer {self._master}"):
            raise TestpayError(401, "bad_secret", "Send the master secret as a bearer token.")
        match = _ADDRESS.fullmatch(request.path)
        if match:
            return self._one(match[1], match[2] or "", request)
        match request.path, request.method:
            case "/control/switches", "POST":
                return json_response(200, self._set_switches(WHOLE_NETWORK, request))
            case "/control/find", "GET":
                query = request.query
                found = self._channel.find(query.get("account", ""), payment_id=query.get("payment_id", ""))
                return json_response(200, found)
            case "/control/payments", "GET":
                return json_response(200, {"payments": self.newest(_limit(request.query.get("limit", "50")))})
        raise TestpayError(404, "no_such_address", "There is nothing at this address.")

    def detail(self, payment: str) -> dict[str, Any]:
        """A payment with its switches, its notices and every try of theirs. Raises TestpayError 404."""
        view = self._channel.view(self._channel.payment(payment))
        notices = self._store.rows("SELECT * FROM notice WHERE payment_id = ? ORDER BY seq", (payment,))
        view["switches"] = asdict(self._notices.switches(payment))
        view["notices"] = [
            {
                "event_id": notice["event_id"],
                "type": notice["type"],
                "state": notice["state"],
                "next_at": notice["next_at"],
                "attempts": [
                    {"at": attempt["at"], "status": attempt["status"], "answer": attempt["answer"]}
                    for attempt in self._store.rows(
                        "SELECT * FROM attempt WHERE notice_seq = ? ORDER BY id", (notice["seq"],)
                    )
                ],
            }
            for notice in notices
        ]
        return view

    def newest(self, limit: int, before: float | None = None) -> list[dict[str, Any]]:
        """The newest payments in detail, those opened before `before` (Unix seconds) when it is given."""
        rows = self._store.rows(
            "SELECT id FROM payment WHERE ? IS NULL OR created_at < ? ORDER BY created_at DESC, rowid DESC LIMIT ?",
            (before, before, limit),
        )
        return [self.detail(row["id"]) for row in rows]

    def _one(self, payment: str, verb: str, request: Request) -> Response:
        self._channel.payment(payment)
        match verb, request.method:
            case "", "GET":
                return json_response(200, self.detail(payment))
            case "switches", "POST":
                return json_response(200, self._set_switches(payment, request))
            case "release", "POST":
                return json_response(200, asdict(self._notices.set_switches(payment, {"hold": False})))
            case "send-again", "POST":
                return json_response(200, {"notices": self._notices.send_again(payment)})
            case "act", "POST":
                return json_response(200, self._act(payment, request.json()))
        raise TestpayError(405, "wrong_method", "This address takes another method.")

    def _set_switches(self, payment: str, request: Request) -> dict[str, Any]:
        wishes = request.json()
        try:
            if not isinstance(wishes, dict):
                raise ValueError("the body must be a JSON object")
            return asdict(self._notices.set_switches(payment, wishes))
        except ValueError as error:
            raise TestpayError(422, "invalid", str(error)) from error

    def _act(self, payment: str, wish: Any) -> dict[str, Any]:
        try:
            action = Action(wish["action"])
            delay_s, amount_minor = float(wish.get("delay_s", 0)), int(wish.get("amount_minor", 0))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            names = ", ".join(action.value for action in Action)
            raise TestpayError(
                422, "invalid", f"action is one of {names}; delay_s and amount_minor are numbers"
            ) from error
        if amount_minor < 0:
            raise TestpayError(422, "invalid", "amount_minor can't be negative")
        return self._channel.act(
            payment, action, method=str(wish.get("method", "card")), delay_s=delay_s, amount_minor=amount_minor
        )


def _limit(text: str) -> int:
    return min(int(text), 200) if text.isdigit() else 50
