"""Runs the test channel: a threaded server, and one thread that settles, expires and sends notices."""

from __future__ import annotations

import logging
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from .app import TestpayApp, unix_now

ROUND_S = 0.5  # How long the loop waits when nothing new is announced.
logger = logging.getLogger("kameng.testpay")


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def server_bind(self) -> None:
        # HTTPServer's own asks DNS for this host's full name, which can take seconds where there is none.
        socketserver.TCPServer.server_bind(self)
        self.server_name = str(self.server_address[0])
        self.server_port = int(self.server_address[1])
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    disable_nagle_algorithm = True  # wsgiref sends head and body apart, and the body would wait for an acknowledgement.
    timeout = 20  # A client that connects and says nothing does not keep a thread for ever.

    def log_message(self, format: str, *args: Any) -> None:
        """Say it at debug level: a cashier's page is asked for often, and its address is the buyer's key."""
        logger.debug(format, *args)

    def get_environ(self) -> Any:
        """As usual, but the path stays as it was sent: signatures cover it."""
        environ = super().get_environ()
        environ["PATH_INFO"] = self.path.partition("?")[0]
        return environ


class TestpayServer:
    """The channel on a port. `start` returns when it answers; `stop` ends both threads and closes the file."""

    __test__ = False

    def __init__(
        self,
        *,
        folder: Path,
        master: str,
        host: str = "127.0.0.1",
        port: int = 0,
        public_url: str = "",
        clock: Callable[[], float] = unix_now,
    ) -> None:
        self._server = _Server((host, port), _Handler)
        self.port: int = self._server.server_port
        self.base_url = (public_url or f"http://{host}:{self.port}").rstrip("/")
        self.app = TestpayApp(folder=folder, master=master, base_url=self.base_url, clock=clock)
        self._server.set_app(self.app)
        self._clock = clock
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._serve, name="testpay-http", daemon=True)]

    def start(self, *, rounds: bool = True) -> None:
        """Begin to answer and, with `rounds`, to send. The port is bound already: from here on it takes requests."""
        if rounds:
            self._threads.append(threading.Thread(target=self._rounds, name="testpay-rounds", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop both threads and close the state."""
        self._stopping.set()
        self.app.notices.changed.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()
        self.app.store.close()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def _rounds(self) -> None:
        while not self._stopping.is_set():
            self.app.notices.changed.wait(ROUND_S)
            self.app.notices.changed.clear()
            try:
                self.app.tick(self._clock())
            except Exception:  # One bad round must not end all later ones; what it left undone is still due.
                logger.exception("testpay.round.failed")
                self._stopping.wait(ROUND_S)
