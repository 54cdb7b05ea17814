"""Servers that misbehave: one that accepts and never answers, one that drips, one that says what it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def serving(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """A TCP server on 127.0.0.1 that hands each connection to `answer`; gives its http address."""
    listener = socket.create_server(("127.0.0.1", 0))
    closing = threading.Event()

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65_536)
                answer(connection, closing)
            except OSError:
                return  # The client gave up, which is what most of these tests wait for.

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        closing.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def never(connection: socket.socket, closing: threading.Event) -> None:
    """Accept, read, and say nothing."""
    closing.wait()


def drips(connection: socket.socket, closing: threading.Event) -> None:
    """A byte now and then: each read is in time, the whole never ends."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not closing.wait(0.02):
        connection.sendall(b"1\r\nx\r\n")


def hangs_up(connection: socket.socket, closing: threading.Event) -> None:
    """Read the request and close without a word."""


def says(status: str, body: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Answer every request with this."""

    def answer(connection: socket.socket, closing: threading.Event) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + body)

    return answer


@contextmanager
def refusing() -> Iterator[str]:
    """The http address of a port where nobody listens, and nobody else can begin to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
