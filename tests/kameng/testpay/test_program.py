"""`kameng testpay` as a process: it answers, it is killed, and it goes on where it was."""

from __future__ import annotations

import http.server
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

import kameng.testpay
from kameng.lib.clock import utc_now
from kameng.testpay import keys
from tenant_apps.payments.providers.base import ChannelStatus, MerchantAccount, PaymentRequest
from tenant_apps.payments.providers.testpay.adapter import TestpayAdapter

from .conftest import MASTER

HOME = str(Path(kameng.testpay.__file__).parents[2])  # Where the child finds the package, installed or not.
COMMAND = [sys.executable, "-c", "from kameng.cli.testpay import testpay; testpay()"]


@contextmanager
def running(data: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program, and its address as it says it."""
    environment = {**os.environ, "PYTHONPATH": HOME, "KAMENG_TESTPAY_SECRET": MASTER}
    process = subprocess.Popen(
        [*COMMAND, "--port", str(port), "--data", str(data)], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        match = re.search(r"http://\S+", process.stdout.readline())
        assert match is not None
        yield process, match[0]
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def shop() -> Iterator[tuple[str, queue.Queue[tuple[dict[str, str], bytes]], list[int]]]:
    """A merchant's server: its callback's address, what it receives, and the statuses it still has to give."""
    received: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
    statuses: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.put((dict(self.headers), body))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.end_headers()
            self.wfile.write(b"success")

        def log_message(self, format: str, *args: object) -> None:
            """Tests have their own output."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://alice.localhost:{server.server_address[1]}/callback", received, statuses
    server.shutdown()
    thread.join()
    server.server_close()


def an_account(address: str) -> MerchantAccount:
    return MerchantAccount("testpay", "alice", {"secret": keys.merchant_secret(MASTER, "alice")}, address)


def a_request(notify_url: str) -> PaymentRequest:
    now = utc_now().replace(microsecond=0)
    return PaymentRequest(
        payment_id="pay_1", order_number="ORD-1", amount_minor=1999, currency="CNY", title="Steam 20",
        return_url="http://alice.example/", cancel_url="http://alice.example/", notify_url=notify_url,
        created_at=now, expires_at=now + timedelta(minutes=15),
    )  # fmt: skip


def pay(address: str, channel_ref: str, **switches: object) -> None:
    """The buyer pays, by the control."""
    for path, data in ((f"{channel_ref}/switches", switches), (f"{channel_ref}/act", {"action": "pay"})):
        request = urllib.request.Request(
            f"{address}/control/payments/{path}", json.dumps(data).encode(), {"Authorization": f"Bearer {MASTER}"}
        )
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20).close()


class TestProgram:
    def test_goes_on_after_it_was_killed(self, tmp_path: Path) -> None:
        adapter = TestpayAdapter()
        with shop() as (callback, received, _):
            request = a_request(callback)
            with running(tmp_path) as (first, address):
                created = adapter.create(account=an_account(address), request=request)
                pay(address, created.channel_ref, hold=True)
                first.send_signal(signal.SIGKILL)
                first.wait()

            with running(tmp_path) as (_, address):
                account = an_account(address)
                again = adapter.create(account=account, request=request)
                state = adapter.query(account=account, payment_id="pay_1")
                pay_release(address, created.channel_ref)
                headers, body = received.get(timeout=30)
                event = adapter.verify_callback(account=account, headers=headers, body=body, now=utc_now())

        assert again.channel_ref == created.channel_ref
        assert (state.status, sum(fact.amount_minor for fact in state.facts)) == (ChannelStatus.PAID, 1999)
        assert (event.type, event.payment_id) == ("payment.paid", "pay_1")

    def test_repeats_over_the_network_until_it_hears_success(self, tmp_path: Path) -> None:
        with shop() as (callback, received, statuses), running(tmp_path) as (_, address):
            statuses.append(500)
            created = TestpayAdapter().create(account=an_account(address), request=a_request(callback))
            pay(address, created.channel_ref)

            first, second = received.get(timeout=30), received.get(timeout=30)

        assert first[1] == second[1]
        assert first[0]["Host"].startswith("alice.localhost:")

    def test_stops_cleanly(self, tmp_path: Path) -> None:
        with running(tmp_path) as (process, _):
            process.send_signal(signal.SIGTERM)

            assert process.wait(timeout=30) == 0

    def test_answers_a_wrong_port_or_a_missing_secret_in_words(self, tmp_path: Path) -> None:
        with running(tmp_path / "a") as (_, address):
            port = address.rpartition(":")[2]
            taken = subprocess.run(
                [*COMMAND, "--port", port, "--data", str(tmp_path / "b")], capture_output=True, text=True, check=False,
                env={**os.environ, "PYTHONPATH": HOME, "KAMENG_TESTPAY_SECRET": MASTER},
            )  # fmt: skip
        without = {name: value for name, value in os.environ.items() if name != "KAMENG_TESTPAY_SECRET"}
        without["PYTHONPATH"] = HOME
        secretless = subprocess.run(
            [*COMMAND, "--port", "0", "--data", str(tmp_path / "c")],
            capture_output=True,
            text=True,
            check=False,
            env=without,
        )

        assert (taken.returncode, secretless.returncode) == (1, 1)
        assert f"Can't listen at 127.0.0.1:{port}" in taken.stderr
        assert "KAMENG_TESTPAY_SECRET must be set" in secretless.stderr

    @pytest.mark.parametrize("path", ["/health", "/pay/%2e%2e/%00", "/v1/payments", "/?" + "x" * 5000])
    def test_answers_whatever_it_is_asked(self, tmp_path: Path, path: str) -> None:
        with running(tmp_path) as (_, address):
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                with opener.open(address + path, timeout=20) as answer:
                    status = answer.status
            except urllib.error.HTTPError as error:
                status = error.code
                error.close()

        assert status in (200, 401, 403, 404)


def pay_release(address: str, channel_ref: str) -> None:
    """Let held notices go."""
    request = urllib.request.Request(
        f"{address}/control/payments/{channel_ref}/release", b"", {"Authorization": f"Bearer {MASTER}"}
    )
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20).close()
