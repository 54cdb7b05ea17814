"""`kameng db prepare`: what it refuses beside bringing the database up to date."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner
from django.test import override_settings

from kameng import cli
from kameng.db.context import in_main
from kameng.lib import crypto
from shared_apps.library import selectors as library
from shared_apps.stock import services as stock
from tenants import prepare
from tenants.upgrades.running import Report
from tests.tenant_apps.market import CLERK, NOW, make_goods


@pytest.fixture(autouse=True)
def _environment_stays() -> Iterator[None]:
    """A command puts its data folder into the environment, where the tests that come after would find it."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture
def codes(prepared: None) -> None:
    """A code that this installation's keys made."""
    with in_main():
        goods = make_goods()
        sku = library.sku_by_code(goods.code)
    stock.import_codes(sku=sku, stream="AAAA-BBBB-CCCC", by=CLERK, now=NOW)


class TestPrepare:
    def test_refuses_a_database_whose_codes_other_keys_made(
        self, codes: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(prepare, "prepare", lambda *_: Report(version="1"))

        with override_settings(CODE_KEYS=crypto.fresh_ring_json()):
            result = CliRunner().invoke(cli.main, ["--data", str(tmp_path), "db", "prepare"])

        assert result.exit_code == 1
        assert "can't be read with this copy's keys. Put the secrets.json" in result.output
        assert f"into {tmp_path}, or set KAMENG_CODE_KEYS." in result.output

    def test_takes_its_own(self, codes: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(prepare, "prepare", lambda *_: Report(version="1"))

        result = CliRunner().invoke(cli.main, ["--data", str(tmp_path), "db", "prepare"])

        assert result.output.endswith("ready\n")
