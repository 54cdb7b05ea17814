"""The test channel without its server: time is a number that tests set, and merchants answer what tests say."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kameng.testpay import keys
from kameng.testpay.app import TestpayApp
from kameng.testpay.notices import Reply

NOW = 1_790_000_000.0
MASTER = "a master secret for tests"
SUCCESS = Reply(200, b"success")


@dataclass
class World:
    """The clock, and the merchants' server: what it was sent, and what it answers next."""

    now: float = NOW
    sent: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[str], Reply] = lambda url: SUCCESS

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.sent.append((url, dict(headers), body))
        return self.answer(url)

    @property
    def told(self) -> list[str]:
        """The types of the events that were sent, in order."""
        return [json.loads(body)["type"] for _, _, body in self.sent]


@dataclass
class Answer:
    """What a WSGI call gave back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """Calls the WSGI application as a server would."""

    def __init__(self, app: TestpayApp, world: World) -> None:
        self.app = app
        self.world = world

    def call(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        path, _, query = target.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()},
        }
        seen: dict[str, Any] = {}

        def start_response(status: str, answer_headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            seen.update(status=int(status.split()[0]), headers=dict(answer_headers))

        content = b"".join(self.app(environ, start_response))
        return Answer(seen["status"], seen["headers"], content)

    def signed(self, method: str, target: str, data: Any = None, *, account: str = "alice", **changes: Any) -> Answer:
        """A request as a merchant signs it; `changes` forge timestamp, nonce, secret or the body after signing."""
        body = b"" if data is None else json.dumps(data).encode()
        timestamp = changes.get("timestamp", int(self.world.now))
        nonce = changes.get("nonce", secrets.token_hex(8))
        secret = changes.get("secret", keys.merchant_secret(MASTER, account))
        signature = keys.sign_request(secret, method=method, target=target, timestamp=timestamp, nonce=nonce, body=body)
        headers = {
            "X-Testpay-Account": account,
            "X-Testpay-Timestamp": str(timestamp),
            "X-Testpay-Nonce": nonce,
            "X-Testpay-Signature": changes.get("signature", signature),
        }
        return self.call(method, target, changes.get("body", body), headers)

    def control(self, method: str, target: str, data: Any = None) -> Answer:
        body = b"" if data is None else json.dumps(data).encode()
        return self.call(method, target, body, {"Authorization": f"Bearer {MASTER}"})

    def opened(self, payment_id: str = "pay_1", **changes: Any) -> str:
        """A payment of 19.99 CNY; the channel's id."""
        answer = self.signed("POST", "/v1/payments", a_payment(payment_id, **changes))
        assert answer.status == 200, answer.text
        return str(answer.json["id"])

    def act(self, payment: str, action: str, **more: Any) -> Answer:
        return self.control("POST", f"/control/payments/{payment}/act", {"action": action, **more})

    def tick(self, seconds: float = 0) -> int:
        """Let time pass, then one round."""
        self.world.now += seconds
        return self.app.tick(self.world.now)


def a_payment(payment_id: str = "pay_1", **changes: Any) -> dict[str, Any]:
    """The body that opens a payment."""
    return {
        "payment_id": payment_id,
        "order_number": "ORD-1",
        "amount_minor": 1999,
        "currency": "CNY",
        "title": "Steam 20",
        "return_url": "http://alice.example/orders/1",
        "cancel_url": "http://alice.example/checkout",
        "notify_url": "http://alice.example/callback",
        "expires_at": int(NOW) + 900,
        "locale": "zh",
        "merchant_name": "Alice",
        "metadata": {},
        **changes,
    }


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(world: World, tmp_path: Path) -> Iterator[Client]:
    app = TestpayApp(
        folder=tmp_path, master=MASTER, base_url="http://pay.example", clock=lambda: world.now, send=world.send
    )
    yield Client(app, world)
    app.store.close()
