"""`kameng testpay`: the test channel, a payment channel of its own for demonstrations and tests."""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path

import click

from kameng.testpay import keys
from kameng.testpay.server import TestpayServer

SECRET_VARIABLE = "KAMENG_TESTPAY_SECRET"


@click.command("testpay")
@click.option("--port", type=click.IntRange(0, 65_535), default=8600, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The folder that its state lives in.",
)
@click.option("--public-url", default="", help="How browsers reach it, when that is not http://HOST:PORT.")
def testpay(port: int, host: str, data: Path, public_url: str) -> None:
    """Run the test channel until Ctrl-C. Its master secret comes from KAMENG_TESTPAY_SECRET."""
    master = os.environ.get(SECRET_VARIABLE, "")
    if len(master) < 16:
        raise click.ClickException(f"{SECRET_VARIABLE} must be set to at least 16 characters.")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        server = TestpayServer(folder=data, master=master, host=host, port=port, public_url=public_url)
    except OSError as error:
        raise click.ClickException(f"Can't listen at {host}:{port}: {error.strerror}") from error
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    server.start()
    click.echo(f"Test channel   {server.base_url}")
    click.echo(f"Its dashboard  {server.base_url}/dashboard?key={keys.dashboard_key(master)}")
    stopped.wait()
    server.stop()
