"""Webhooks of the fake: signed as Stripe signs them, sent when a test says so, in the order it says."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from .objects import Json
from .state import Merchant


@dataclass(frozen=True)
class Delivery:
    """One try: which event, and the status that came back."""

    event_id: str
    type: str
    status: int


class Webhooks:
    """The endpoint of one merchant."""

    def __init__(self, merchant: Merchant, clock: Callable[[], float]) -> None:
        self._merchant = merchant
        self._clock = clock
        self._sent: set[str] = set()
        self.url = ""
        self.secret = "whsec_fake_endpoint_secret"

    def pending(self) -> list[Json]:
        """Events that were not accepted yet, oldest first."""
        return [event for id, event in self._merchant.events.items() if id not in self._sent]

    def signed(self, event: Json, *, at: float | None = None, secret: str = "") -> tuple[dict[str, str], bytes]:
        """Headers and body of an event, as they go over the wire; `at` is the time of signing."""
        body = json.dumps(event, indent=2).encode()  # Stripe's bodies are indented; a verifier must not reformat them.
        timestamp = int(self._clock() if at is None else at)
        key = (secret or self.secret).encode()
        signature = hmac.new(key, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
        return {"Content-Type": "application/json", "Stripe-Signature": f"t={timestamp},v1={signature}"}, body

    def send_pending(self, *, times: int = 1, newest_first: bool = False) -> list[Delivery]:
        """Send every pending event `times` times, newest first when asked. An event is done after a 2xx."""
        events = self.pending()
        return self.send(reversed(events) if newest_first else events, times=times)

    def send(self, events: Iterable[Json], *, times: int = 1) -> list[Delivery]:
        """Send these events, whether they were sent before or not."""
        deliveries = []
        for event in events:
            for _ in range(times):
                status = self._post(*self.signed(event))
                deliveries.append(Delivery(event["id"], event["type"], status))
                if 200 <= status < 300:
                    self._sent.add(event["id"])
        return deliveries

    def _post(self, headers: dict[str, str], body: bytes) -> int:
        parts = urlsplit(self.url)
        # Names under .localhost are this machine; the resolver does not always know, so the address is given.
        connection = http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=10)
        try:
            target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
            connection.request("POST", target, body=body, headers={**headers, "Host": parts.netloc})
            return connection.getresponse().status
        finally:
            connection.close()
