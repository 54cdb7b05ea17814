"""Codes: imported, seen only with a reason, withdrawn for good; counts that are set."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from kameng.accounts.models import AuditRecord
from kameng.db.context import in_main
from kameng.jobs.models import Job
from kameng.lib import clock
from shared_apps.library.models import ImportRun
from shared_apps.stock import services as stock
from shared_apps.stock.models import CodeReveal, StockLevel
from tests.shared_apps.console.conftest import Scene, csv_rows, make_goods
from tests.shared_apps.console.test_access import url
from tests.tenant_apps import market
from tests.tenant_apps.market import CLERK


@pytest.fixture
def batch(prepared: None) -> tuple[str, market.Goods]:
    """A batch of three codes of this test's own."""
    from shared_apps.library.models import Sku

    with in_main():
        goods = make_goods("CODES", CLERK)
        sku = Sku.objects.get(pk=goods.sku_id)
    done = stock.import_codes(
        sku=sku, stream="SECRET-C1\nSECRET-C2\nSECRET-C3\n", filename="c.txt", by=CLERK, now=market.NOW
    )
    return done.batch, goods


def states(goods: market.Goods) -> list[str]:
    found = market.rows("SELECT state FROM stock_code WHERE sku_id = %s ORDER BY position", goods.sku_id)
    return [state for (state,) in found]


def code_ids(goods: market.Goods) -> list[int]:
    return [pk for (pk,) in market.rows("SELECT id FROM stock_code WHERE sku_id = %s ORDER BY position", goods.sku_id)]


def reveals(goods: market.Goods) -> list[tuple[str, str]]:
    with in_main():
        rows = CodeReveal.objects.filter(code_id__in=code_ids(goods)).order_by("pk")
        return list(rows.values_list("actor_label", "reason"))


class TestSeeingACode:
    def test_shows_it_after_a_reason_and_records_the_look(self, operator: Client, batch: Any) -> None:
        goods = batch[1]
        first = code_ids(goods)[0]
        assert b"SECRET-C1" not in operator.get(url("code_reveal", first)).content
        assert reveals(goods) == []

        response = operator.post(url("code_reveal", first), {"reason": "The buyer says it is used up"})

        assert response.status_code == 200
        assert b"SECRET-C1" in response.content
        assert response.headers["Cache-Control"] == "no-store"
        assert reveals(goods) == [("Operator", "The buyer says it is used up")]

    def test_shows_nothing_without_a_reason(self, operator: Client, batch: Any) -> None:
        goods = batch[1]

        for reason in ("", "  ", "x"):
            response = operator.post(url("code_reveal", code_ids(goods)[0]), {"reason": reason})
            assert response.status_code == 422
            assert b"SECRET-C1" not in response.content

        assert reveals(goods) == []

    def test_answers_the_dialogue_with_a_fragment(self, operator: Client, batch: Any) -> None:
        response = operator.get(url("code_reveal", code_ids(batch[1])[0]), HTTP_HX_REQUEST="true")

        assert b"<html" not in response.content
        assert b'name="reason"' in response.content

    def test_the_batch_page_holds_no_code(self, operator: Client, batch: Any) -> None:
        content = operator.get(url("batch", batch[0])).content

        for code in (b"SECRET-C1", b"SECRET-C2", b"SECRET-C3"):
            assert code not in content


class TestExportingCodes:
    def test_hands_out_every_code_and_records_each_look_first(self, operator: Client, batch: Any) -> None:
        public_id, goods = batch

        response = operator.post(url("batch_export", public_id), {"reason": "Moved to another supplier"})

        assert reveals(goods) == [("Operator", "Moved to another supplier")] * 3
        assert csv_rows(response) == [
            ["Code", "State"], ["SECRET-C1", "AVAILABLE"], ["SECRET-C2", "AVAILABLE"], ["SECRET-C3", "AVAILABLE"],
        ]  # fmt: skip

    def test_refuses_without_a_reason(self, operator: Client, batch: Any) -> None:
        assert operator.post(url("batch_export", batch[0]), {"reason": ""}).status_code == 422
        assert reveals(batch[1]) == []


class TestWithdrawing:
    def test_takes_what_is_left_out_for_good(self, operator: Client, batch: Any) -> None:
        public_id, goods = batch

        response = operator.post(url("batch_void", public_id), {"reason": "The supplier cancelled them"})

        assert response.status_code == 302
        assert states(goods) == ["VOID", "VOID", "VOID"]
        with in_main():
            level = StockLevel.objects.get(sku_id=goods.sku_id)
            record = AuditRecord.objects.get(action="stock.codes.void", target=public_id)
        assert (level.available, level.state) == (0, "OUT")
        assert (record.details["voided"], record.details["reason"]) == (3, "The supplier cancelled them")

    def test_refuses_without_a_reason_and_keeps_the_stock(self, operator: Client, batch: Any) -> None:
        response = operator.post(url("batch_void", batch[0]), {"reason": "no"})

        assert response.status_code == 422
        assert b'value="no"' in response.content
        assert states(batch[1]) == ["AVAILABLE", "AVAILABLE", "AVAILABLE"]


class TestImportingCodes:
    def test_checks_pasted_codes_and_imports_them_after_that(self, operator: Client, batch: Any) -> None:
        goods = batch[1]
        form = {
            "sku": goods.code,
            "paste": "SECRET-C3\nSECRET-D1\nSECRET-D1\n\nSECRET-D2\n",
            "note": "Supplier A",
            "deed": "check",
        }

        response = operator.post(url("code_import"), form)
        run = response.headers["Location"].rstrip("/").rsplit("/", 1)[1]
        stock.execute_run(run=run, now=clock.utc_now())

        assert len(code_ids(goods)) == 3
        content = operator.get(url("import_run", run)).content
        assert b"Import 2 codes" in content
        for code in (b"SECRET-D1", b"SECRET-D2", b"SECRET-C3"):
            assert code not in content

        response = operator.post(url("import_checked", run))
        done = response.headers["Location"].rstrip("/").rsplit("/", 1)[1]
        stock.execute_run(run=done, now=clock.utc_now())

        assert len(code_ids(goods)) == 5
        with in_main():
            row = ImportRun.objects.get(public_id=done)
        assert row.options["result"]["imported"] == 2
        assert row.options["note"] == "Supplier A"

    def test_keeps_what_was_typed_when_the_sku_is_unknown(self, operator: Client) -> None:
        with in_main():
            before = ImportRun.objects.count()

        response = operator.post(url("code_import"), {"sku": "NO-SUCH", "paste": "SECRET-E1", "note": "My note"})

        assert response.status_code == 422
        for typed in (b'value="NO-SUCH"', b"SECRET-E1", b'value="My note"'):
            assert typed in response.content
        with in_main():
            assert ImportRun.objects.count() == before

    def test_asks_for_a_file_or_a_text(self, operator: Client, batch: Any) -> None:
        response = operator.post(url("code_import"), {"sku": batch[1].code})

        assert response.status_code == 422
        assert b"Choose a file, or paste the codes." in response.content

    def test_refuses_a_sku_that_is_not_sold_by_codes_when_it_runs(self, operator: Client, scene: Scene) -> None:
        response = operator.post(url("code_import"), {"sku": scene.counted.code, "paste": "SECRET-E1", "deed": "now"})
        run = response.headers["Location"].rstrip("/").rsplit("/", 1)[1]

        stock.execute_run(run=run, now=clock.utc_now())

        content = operator.get(url("import_run", run)).content
        assert b"Nothing was changed" in content
        assert b"is not sold by codes" in content

    def test_offers_skus_that_take_codes(self, operator: Client, scene: Scene) -> None:
        found = operator.get(url("sku_options"), {"sku": scene.goods.code}).content.decode()
        none = operator.get(url("sku_options"), {"sku": scene.counted.code}).content.decode()

        assert f'value="{scene.goods.code}"' in found
        assert none.strip() == ""


class TestCounting:
    def test_sets_the_number_and_the_level_at_once(self, operator: Client, scene: Scene) -> None:
        response = operator.post(url("count", scene.counted.code), {"available": "37", "reason": "Counted again"})

        assert response.status_code == 302
        with in_main():
            assert StockLevel.objects.get(sku_id=scene.counted.sku_id).available == 37
            record = AuditRecord.objects.filter(action="stock.count.set", target=scene.counted.code).latest("pk")
        assert (record.details["after"], record.details["reason"]) == (37, "Counted again")

    @pytest.mark.parametrize("typed", ["-1", "many", "", "10000000000"])
    def test_refuses_what_is_no_number_of_things(self, operator: Client, scene: Scene, typed: str) -> None:
        sql = "SELECT available FROM stock_stockcount WHERE sku_id = %s"
        before = market.rows(sql, scene.counted.sku_id)

        response = operator.post(url("count", scene.counted.code), {"available": typed})

        assert response.status_code == 422
        assert market.rows(sql, scene.counted.sku_id) == before

    def test_refuses_a_count_of_codes(self, operator: Client, scene: Scene) -> None:
        assert operator.post(url("count", scene.goods.code), {"available": "5"}).status_code == 422


class TestLevels:
    def test_sold_out_comes_first_and_exports_as_shown(self, operator: Client, prepared: None) -> None:
        with in_main():
            empty, full = make_goods("COUNTED", CLERK), make_goods("UNLIMITED", CLERK)

        for goods, line in ((empty, ["A number", "0"]), (full, ["Without limit", ""])):
            rows = csv_rows(operator.get(url("levels"), {"q": goods.code, "export": "csv"}))
            assert rows[0] == ["SKU", "Name", "Stock", "Available", "Low at", "State", "Counted"]
            assert [rows[1][0], rows[1][2], rows[1][3]] == [goods.code, *line]
        states_shown = [row[5] for row in csv_rows(operator.get(url("levels"), {"export": "csv"}))[1:]]
        order = {"Sold out": 0, "Low": 1, "In stock": 2}
        assert [order[state] for state in states_shown] == sorted(order[state] for state in states_shown)


class TestKeys:
    def test_brings_codes_and_merchant_accounts_under_a_new_key(
        self, operator: Client, scene: Scene, batch: Any, no_jobs: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from django.conf import settings

        from kameng.jobs import services as jobs
        from kameng.lib import crypto
        from shared_apps.receipts import services as receipts
        from shared_apps.stock import keys

        old = settings.CODE_KEYS
        assert operator.post(url("keys")).status_code == 409  # Nothing to do yet.
        monkeypatch.setattr(settings, "CODE_KEYS", crypto.ring_json_with_new_key(old))
        current = keys.ring().current
        try:
            assert "Secrets under older keys" in operator.get(url("keys")).content.decode()

            for _ in range(2):  # Pressed twice, queued once.
                assert operator.post(url("keys")).status_code == 302
            assert "Being encrypted again" in operator.get(url("keys")).content.decode()
            with in_main():
                assert Job.objects.filter(kind="console.rotate_keys", state="PENDING").count() == 1
            jobs.run_all_due()

            versions = market.rows(
                "SELECT key_version FROM stock_code UNION SELECT key_version FROM receipts_merchantaccount"
            )
            assert versions == [(current,)]
            assert "Everything is under the current key" in operator.get(url("keys")).content.decode()
            with in_main():
                opened = receipts.account_with_credentials(account_public_id=scene.account.public_id)
                record = AuditRecord.objects.filter(action="console.keys.rotate").latest("pk")
            assert opened.credentials == {"secret": "s3cret"}
            assert record.target == current
        finally:
            self.back(old, monkeypatch)

    def back(self, old: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Other tests read these secrets with the first key: make it the current one again."""
        import json

        from django.conf import settings

        from shared_apps.receipts import services as receipts

        ring = json.loads(settings.CODE_KEYS)
        ring["current"] = json.loads(old)["current"]
        monkeypatch.setattr(settings, "CODE_KEYS", json.dumps(ring))
        stock.rotate()
        with in_main():
            receipts.reseal_accounts()
