"""A client of the fake that gives up early where there will be no answer, and there alone."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from kameng.lib.outside.http import Answer, Limits, Transport
from tests.fakes.stripe.server import FakeStripe

PATIENT = Limits(connect_s=2, read_s=10, total_s=20)
QUICK = Limits(connect_s=1, read_s=0.3, total_s=0.6)
HANGS_S = 60  # Who waits so long has hung; nothing is decided by it.


class Hurried(Transport):
    """How fast a busy machine answers is nobody's subject: only a silence that was asked for is cut short.

    When it was, the fake has carried out what it carries out before it falls silent.
    """

    def __init__(self, fake: FakeStripe) -> None:
        super().__init__("stripe", PATIENT)
        self._fake, self._quick = fake, Transport("stripe", QUICK)

    def exchange(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | str | None = None) -> Answer:
        if not self._fake.has_fault(f"{method} {urlsplit(url).path}"):
            return super().exchange(method, url, headers=headers, body=body)
        try:
            return self._quick.exchange(method, url, headers=headers, body=body)
        finally:
            assert self._fake.silent.wait(HANGS_S)
