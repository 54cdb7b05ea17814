"""The running system for a real browser: web server, a worker, the test channel, Chromium."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.db import connections
from django.test import override_settings
from django.test.testcases import LiveServerThread

# Playwright keeps an event loop in this thread; the tests themselves are not asynchronous.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP *.localhost 127.0.0.1",
]  # fmt: skip


# How long a page may take on a machine that is busy with other things. Nothing waits for it.
PATIENCE_MS = 60_000
PHONE = (
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Mobile Safari/537.36"
)


@pytest.fixture(scope="session")
def channel(tmp_path_factory: pytest.TempPathFactory, prepared: None) -> Iterator[Any]:
    """The test channel's own program, with its own state, sending its callbacks."""
    from django.conf import settings

    from kameng.testpay.server import TestpayServer

    server = TestpayServer(folder=tmp_path_factory.mktemp("testpay"), master=settings.TESTPAY_SECRET, port=0)
    server.start(rounds=True)
    yield server
    server.stop()


@pytest.fixture(scope="package")
def site(channel: Any) -> Iterator[str]:
    """The web server, in threads; answers the main site's address."""
    server = LiveServerThread("127.0.0.1", StaticFilesHandler, port=0)
    server.daemon = True
    server.start()
    server.is_ready.wait()
    assert server.error is None, server.error
    yield f"http://localhost:{server.port}"
    server.terminate()


@pytest.fixture
def one_channel(prepared: None) -> Iterator[None]:
    """Buyers are offered the channel that runs, and none of those that other tests made up."""
    from kameng.db.context import in_main
    from shared_apps.receipts.models import MerchantAccount
    from shared_apps.receipts.services._accounts import TESTPAY_ACCOUNT_REF

    with in_main():
        others = list(
            MerchantAccount.objects.filter(enabled=True)
            .exclude(account_ref=TESTPAY_ACCOUNT_REF)
            .values_list("pk", flat=True)
        )
        MerchantAccount.objects.filter(pk__in=others).update(enabled=False)
    yield
    with in_main():
        MerchantAccount.objects.filter(pk__in=others).update(enabled=True)


@pytest.fixture(autouse=True)
def running(site: str, channel: Any, no_jobs: None, one_channel: None) -> Iterator[None]:
    """A worker and the addresses of this system, for as long as the journey: other tests look at jobs that wait."""
    ended = threading.Event()

    def work() -> None:
        from kameng.jobs import services as jobs

        while not ended.wait(0.05):
            jobs.run_all_due()
        connections.close_all()

    thread = threading.Thread(target=work, daemon=True)
    with override_settings(AUTHORITY=f":{urlsplit(site).port}", TESTPAY_URL=channel.base_url):
        thread.start()
        yield
        ended.set()
        thread.join()


def reload_until_there(page: Any, wanted: Any) -> None:
    """What a worker writes is on a page that does not follow by itself: look until it is there, however busy the worker is."""
    until = time.monotonic() + PATIENCE_MS / 1000
    while not wanted.count():
        assert time.monotonic() < until, f"It does not come: {page.url}"
        page.reload()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
    )
    assert found, "No Chromium: `make test` installs it from Debian's packages."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Any]:
    """`open_page(width, language, script)`: a fresh browser profile; an error in a page's script fails the test."""
    contexts: list[Any] = []
    problems: list[str] = []

    def make(width: int = 1440, height: int = 900, language: str = "zh-CN", *, script: bool = True) -> Any:
        phone = {"is_mobile": True, "has_touch": True, "user_agent": PHONE} if width < 500 else {}
        context = chromium.new_context(
            viewport={"width": width, "height": height}, locale=language, java_script_enabled=script, **phone
        )
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
        return page

    yield make
    for context in contexts:
        context.close()
    assert problems == []
