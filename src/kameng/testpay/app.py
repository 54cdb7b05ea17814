"""The test channel as one WSGI application: the API, the control, the cashier's page and the dashboard."""

from __future__ import annotations

import logging
import math
import re
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from kameng.lib.clock import utc_now

from . import keys, pages
from .api import Api, error_body
from .channel import Action, Channel, TestpayError
from .control import Control
from .http_types import Request, Response, json_response, read_request, redirect
from .notices import Notices, Send
from .sender import send as send_over_http
from .store import Store
from .words import words

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

COOKIE = "testpay_key"
PAGE_SIZE = 50
_PAY = re.compile(r"/pay/(tp_[0-9a-f]{24})")
logger = logging.getLogger("kameng.testpay")


def unix_now() -> float:
    """The present in Unix seconds."""
    return utc_now().timestamp()


class TestpayApp:
    """The channel put together. `clock` and `send` are handed in, so that tests own time and the network."""

    __test__ = False

    def __init__(
        self,
        *,
        folder: Path,
        master: str,
        base_url: str,
        clock: Callable[[], float] = unix_now,
        send: Send = send_over_http,
    ) -> None:
        if len(master) < 16:
            raise ValueError("the master secret of the test channel needs at least 16 characters")
        self.store = Store(folder)
        self.notices = Notices(self.store, master, clock, send)
        self.channel = Channel(self.store, self.notices, clock, base_url)
        self.control = Control(self.channel, self.notices, self.store, master)
        self._api = Api(self.channel, self.store, master, clock)
        self._dashboard_key = keys.dashboard_key(master)
        self._clock = clock

    def tick(self, now: float) -> int:
        """One round of what happens by itself: settle, expire, send notices. The number of notices tried."""
        self.channel.tick(now)
        return self.notices.tick(now)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        head = environ["REQUEST_METHOD"] == "HEAD"
        if head:
            environ = {**environ, "REQUEST_METHOD": "GET"}
        try:
            response = self._answer(environ)
        except Exception:
            logger.exception("testpay.request.failed")
            response = json_response(500, {"error": {"code": "internal", "message": "The test channel broke."}})
        return response.send(start_response, head=head)

    def _answer(self, environ: WSGIEnvironment) -> Response:
        try:
            request = read_request(environ)
            if request.path.startswith("/v1/"):
                return self._api.answer(request)
            if request.path.startswith("/control/"):
                return self.control.answer(request)
            return self._page(request)
        except TestpayError as error:
            return json_response(error.status, error_body(error))

    def _page(self, request: Request) -> Response:
        match = _PAY.fullmatch(request.path)
        if match and request.method == "POST":
            return self._pay(match[1], request)
        if request.method != "GET":
            raise TestpayError(405, "wrong_method", "This address takes another method.")
        if match:
            return self._cashier(match[1], request)
        if request.path == "/health":
            return json_response(200, {"status": "ok"})
        if request.path in ("/", "/dashboard"):
            return self._dashboard(request)
        return self._html(404, pages.message(_language(request), "missing"))

    def _cashier(self, payment: str, request: Request) -> Response:
        try:
            row = self.channel.payment(payment)
        except TestpayError:
            return self._html(404, pages.message(_language(request), "missing"))
        language = request.query.get("lang") or pages.request_of(row)["locale"]
        view = self.channel.find(row["account"], payment=payment)
        return self._html(200, pages.cashier(view, pages.request_of(row), self._settling(payment), language))

    def _pay(self, payment: str, request: Request) -> Response:
        form = request.form
        language = form.get("lang", "zh")
        try:
            row = self.channel.payment(payment)
            switches = {name: True for name in ("duplicate", "reorder") if form.get(name) == "on"}
            delay = _seconds(form.get("notice_delay_s", "0"))
            if switches or delay:
                self.notices.set_switches(payment, {**switches, "delay_s": delay})
            action = Action(form.get("action", ""))
            self.channel.act(
                payment, action, method=form.get("method", "card"), delay_s=_seconds(form.get("delay_s", "0"))
            )
        except (TestpayError, ValueError) as error:
            code = error.code if isinstance(error, TestpayError) else "other"
            status = error.status if isinstance(error, TestpayError) else 422
            known = words(language)
            return self._html(
                status, pages.message(language, "refused", known.get(f"err_{code}", known["err_other"]), payment)
            )
        wish = pages.request_of(row)
        return redirect(wish["cancel_url"] if action is Action.CANCEL else wish["return_url"])

    def _dashboard(self, request: Request) -> Response:
        offered = request.query.get("key", "")
        if offered and keys.same(offered, self._dashboard_key):
            cookie = f"{COOKIE}={offered}; HttpOnly; SameSite=Lax; Path=/; Max-Age=31536000"
            return redirect("/dashboard", ("Set-Cookie", cookie))
        language = _language(request)
        if not keys.same(request.cookie(COOKIE), self._dashboard_key):
            return self._html(403, pages.message(language, "locked"))
        before = _seconds(request.query.get("before", "0")) or None
        payments = self.control.newest(PAGE_SIZE + 1, before)
        return self._html(
            200,
            pages.dashboard(payments[:PAGE_SIZE], language, newer=before is not None, more=len(payments) > PAGE_SIZE),
        )

    def _settling(self, payment: str) -> bool:
        return self.store.row("SELECT 1 FROM settling WHERE payment_id = ?", (payment,)) is not None

    def _html(self, status: int, page: str) -> Response:
        nonce = secrets.token_urlsafe(16)
        policy = f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
        return Response(
            status, page.replace(pages.NONCE, nonce).encode(), "text/html; charset=utf-8",
            (("Content-Security-Policy", policy),),
        )  # fmt: skip


def _language(request: Request) -> str:
    wish = request.query.get("lang") or request.headers.get("accept-language", "zh")
    return "en" if wish.lower().startswith("en") else "zh"


def _seconds(text: str) -> float:
    """A number of seconds as typed; "" is 0. Raises TestpayError for anything else, infinities among it."""
    try:
        value = float(text or "0")
    except ValueError as error:
        raise TestpayError(422, "bad_delay", "Seconds must be a number.") from error
    if not math.isfinite(value) or value < 0:
        raise TestpayError(422, "bad_delay", "Seconds must be a number from 0.")
    return value
