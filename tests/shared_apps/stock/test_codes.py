"""Codes into the stock, out of it, and seen: nothing doubled, nothing in the clear, every look on record."""

from __future__ import annotations

import io
import json
import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.utils.translation import override
from openpyxl import Workbook

from kameng.accounts.models import AuditRecord
from kameng.db.context import in_main
from kameng.lib import crypto
from kameng.lib.reasons import ReasonMissing
from kameng.lib.tabular import FileBroken, FileEmpty
from shared_apps.library import selectors as library
from shared_apps.library.models import ImportRun
from shared_apps.stock import keys, selectors, services
from shared_apps.stock.models import Code, CodeBatch, CodeReveal, StockLevel
from shared_apps.stock.services import _importing as importing
from tests.tenant_apps.market import CLERK, NOW, Goods, make_goods


@pytest.fixture
def card(prepared: None) -> Goods:
    with in_main():
        return make_goods()


def sku(goods: Goods) -> Any:
    with in_main():
        return library.sku_by_code(goods.code)


def bring(goods: Goods, data: bytes | str, name: str = "codes.txt", **options: Any) -> Any:
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    return services.import_codes(sku=sku(goods), stream=stream, filename=name, by=CLERK, now=NOW, **options)


def clear(goods: Goods) -> list[str]:
    """The codes of a SKU in the clear, in the order of selling."""
    with in_main():
        rows = list(Code.objects.filter(sku_id=goods.sku_id).order_by("position"))
    return [keys.open_code(sku_id=row.sku_id, blob=row.blob, key_version=row.key_version) for row in rows]


class TestImport:
    def test_keeps_the_order_of_the_file_and_encrypts(self, card: Goods) -> None:
        done = bring(card, b"AAAA-1\nBBBB-2\nCCCC-3\n")

        assert (done.imported, done.lines) == (3, 3)
        assert clear(card) == ["AAAA-1", "BBBB-2", "CCCC-3"]
        with in_main():
            assert not [row for row in Code.objects.filter(sku_id=card.sku_id) if b"AAAA" in bytes(row.blob)]
            batch = CodeBatch.objects.get(public_id=done.batch)
            assert (batch.imported, batch.source, batch.by) == (3, "codes.txt", "Clerk")
            assert AuditRecord.objects.get(target=done.batch).action == "stock.codes.import"

    @pytest.mark.parametrize("chunk", [2, 5000])
    def test_finds_doubles_in_the_file_and_in_the_stock(
        self, card: Goods, monkeypatch: pytest.MonkeyPatch, chunk: int
    ) -> None:
        monkeypatch.setattr(importing, "CHUNK", chunk)
        bring(card, b"OLD-CODE-0001\n")

        with override("en"):
            done = bring(
                card, "NEW-CODE-0001\nOLD-CODE-0001\nNEW-CODE-0002\n NEW-CODE-0001 \nＮEW-CODE-0002\n".encode()
            )
            told = [(row.row, row.value, row.code) for row in done.problems]

        assert (done.imported, done.repeated_in_file, done.in_stock_already) == (2, 2, 1)
        assert sorted(told) == [
            (2, "••••0001", "code_known"),
            (4, "••••0001", "code_repeated"),
            (5, "••••0002", "code_repeated"),
        ]
        assert clear(card) == ["OLD-CODE-0001", "NEW-CODE-0001", "NEW-CODE-0002"]

    def test_the_same_file_again_adds_nothing(self, card: Goods) -> None:
        data = b"".join(b"CODE-%04d\n" % n for n in range(50))
        bring(card, data)

        again = bring(card, data)

        assert (again.imported, again.in_stock_already) == (0, 50)
        assert len(clear(card)) == 50

    def test_a_run_that_was_killed_is_finished_by_the_next(self, card: Goods, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importing, "CHUNK", 10)
        data = b"".join(b"CODE-%04d\n" % n for n in range(30))

        def killed(result: Any) -> None:
            if result.imported == 20:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            bring(card, data, progress=killed)
        kept = len(clear(card))
        done = bring(card, data)

        assert (kept, done.imported, done.in_stock_already) == (20, 10, 20)
        assert len(clear(card)) == 30

    def test_the_same_code_of_another_sku_is_another_code(self, card: Goods) -> None:
        with in_main():
            other = make_goods()
        bring(card, b"SAME-CODE\n")

        assert bring(other, b"SAME-CODE\n").imported == 1

    def test_blanks_odd_white_space_and_a_huge_line(self, card: Goods) -> None:
        huge = b"X" * 64 * 1024

        done = bring(card, b"\n  \n\tGOOD-0001 \r\n" + huge + b"\n" + "\u3000GOOD-0002\u200b\n".encode() + b"\n")

        assert (done.imported, done.rejected, done.blank) == (2, 1, 3)
        assert done.problems[0].row == 4
        assert clear(card) == ["GOOD-0001", "GOOD-0002"]

    def test_no_report_shows_a_code(self, card: Goods) -> None:
        done = bring(card, b"SECRET-CODE-7788\nSECRET-CODE-7788\nSECRET\x07CODE-7799\n")

        told = json.dumps(done.as_json(), ensure_ascii=False)
        assert "SECRET" not in told
        assert (done.rejected, done.repeated_in_file) == (1, 1)

    def test_card_and_password_columns_of_a_gbk_table(self, card: Goods) -> None:
        bring(card, "卡号,密码\n62001,abc\n62002,def\n".encode("gbk"), "cards.csv")

        assert clear(card) == ["62001----abc", "62002----def"]

    def test_a_workbook(self, card: Goods) -> None:
        book, out = Workbook(), io.BytesIO()
        for row in (("code",), ("XL-0001",), ("XL-0002",), (None,), ("XL-0001",)):
            book.active.append(row)
        book.save(out)

        done = bring(card, out.getvalue(), "codes.xlsx")

        assert (done.imported, done.repeated_in_file) == (2, 1)

    @pytest.mark.parametrize(
        ("data", "name", "error"),
        [
            (b"", "a.txt", FileEmpty),
            (b"PK\x03\x04 not a workbook", "a.xlsx", FileBroken),
            (b"abc", "a.xlsx", FileBroken),
        ],
    )
    def test_refuses_what_is_no_file_of_codes(self, card: Goods, data: bytes, name: str, error: type) -> None:
        with pytest.raises(error):
            bring(card, data, name)

        with in_main():
            assert not CodeBatch.objects.filter(sku_id=card.sku_id).exists()

    def test_refuses_a_sku_that_is_not_sold_by_codes(self, prepared: None) -> None:
        with in_main():
            box = make_goods(policy="COUNTED", delivery="MANUAL")

        with pytest.raises(services.ImportRefused):
            bring(box, b"CODE-1\n")

        assert clear(box) == []

    def test_a_paste(self, card: Goods) -> None:
        assert bring(card, "ONE-1111\nTWO-2222").imported == 2

    def test_a_dry_run_counts_the_same_and_writes_nothing(self, card: Goods, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importing, "CHUNK", 2)
        bring(card, b"OLD-0001\n")
        data = b"NEW-0001\nOLD-0001\nNEW-0002\nNEW-0001\n"

        tried = bring(card, data, dry_run=True)
        kept = clear(card)
        real = bring(card, data)

        assert kept == ["OLD-0001"]
        assert (tried.imported, tried.repeated_in_file, tried.in_stock_already) == (2, 1, 1)
        assert (real.imported, real.repeated_in_file, real.in_stock_already) == (2, 1, 1)
        assert tried.batch == ""

    def test_two_imports_of_the_same_codes_at_once_bring_each_once(
        self, card: Goods, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importing, "CHUNK", 10)
        data = b"".join(b"RACE-%04d\n" % n for n in range(200))
        start = threading.Barrier(2)
        done: list[Any] = []

        def run() -> None:
            try:
                start.wait()
                done.append(bring(card, data))
            finally:
                connection.close()

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sum(result.imported for result in done) == 200
        assert sum(result.in_stock_already for result in done) == 200
        assert len(set(clear(card))) == 200


class TestRuns:
    def test_a_queued_import_runs_once_and_leaves_no_file(self, card: Goods) -> None:
        with in_main():
            run = services.start_import(
                sku=sku(card), stream=io.BytesIO(b"RUN-0001\nRUN-0001\n"), filename="../x/run.txt", by=CLERK, now=NOW
            )
        path = Path(os.environ["KAMENG_DATA"]) / "imports" / run.public_id
        private = oct(path.stat().st_mode & 0o777)

        done = services.execute_run(run=run.public_id, now=NOW)
        again = services.execute_run(run=run.public_id, now=NOW)

        assert private == "0o600"
        assert not path.exists()
        assert (done.state, done.filename, done.rows_done, done.rows_good, done.rows_bad) == (
            "DONE",
            "run.txt",
            2,
            1,
            1,
        )
        assert done.report[0]["code"] == "code_repeated"
        assert again.finished_at == done.finished_at
        with in_main():
            assert StockLevel.objects.get(pk=card.sku_id).available == 1

    def test_a_file_that_is_none_ends_refused_with_its_reason(self, card: Goods) -> None:
        with in_main(), override("en"):
            run = services.start_import(sku=sku(card), stream=io.BytesIO(b""), filename="x.txt", by=CLERK, now=NOW)

        done = services.execute_run(run=run.public_id, now=NOW)

        assert (done.state, done.problem) == ("REFUSED", "The file is empty.")

    def test_what_a_dry_run_checked_can_be_imported_once(self, card: Goods) -> None:
        from shared_apps.library.services import UploadLost

        with in_main():
            run = services.start_import(
                sku=sku(card), stream=io.BytesIO(b"DRY-0001\n"), filename="x.txt", by=CLERK, now=NOW, dry_run=True
            )
        services.execute_run(run=run.public_id, now=NOW)
        before = clear(card)
        with in_main():
            real = services.import_checked(run=run.public_id, by=CLERK, now=NOW)
        services.execute_run(run=real.public_id, now=NOW)

        with pytest.raises(UploadLost), in_main():
            services.import_checked(run=run.public_id, by=CLERK, now=NOW)

        assert (before, clear(card)) == ([], ["DRY-0001"])
        with in_main():
            assert ImportRun.objects.get(public_id=real.public_id).state == "DONE"


class TestVoid:
    def test_withdraws_what_is_left_and_says_what_is_not(self, card: Goods) -> None:
        done = bring(card, b"V-0001\nV-0002\nV-0003\n")
        with in_main():
            first = Code.objects.filter(sku_id=card.sku_id).order_by("position")[0]
            Code.objects.filter(pk=first.pk).update(state="HELD", hold_id=77)

            told = services.void_codes(batch=done.batch, reason="supplier recalled them", by=CLERK, now=NOW)

            assert (told.voided, told.held, told.delivered) == (2, 1, 0)
            assert AuditRecord.objects.get(target=done.batch, action="stock.codes.void").details["voided"] == 2
        assert selectors_states(done.batch) == {"HELD": 1, "VOID": 2}

    def test_a_withdrawn_code_is_not_taken_in_again(self, card: Goods) -> None:
        done = bring(card, b"V-0001\n")
        with in_main():
            services.void_codes(batch=done.batch, reason="recalled", by=CLERK, now=NOW)

        assert bring(card, b"V-0001\n").in_stock_already == 1

    def test_wants_a_reason_and_a_batch(self, card: Goods) -> None:
        done = bring(card, b"V-0001\n")
        with in_main():
            with pytest.raises(ReasonMissing):
                services.void_codes(batch=done.batch, reason="  ", by=CLERK, now=NOW)
            with pytest.raises(services.BatchUnknown):
                services.void_codes(batch="bat_none", reason="because", by=CLERK, now=NOW)

        assert selectors_states(done.batch) == {"AVAILABLE": 1}


def selectors_states(batch: str) -> dict[str, int]:
    with in_main():
        return selectors.states_of_batch(CodeBatch.objects.get(public_id=batch))


class TestReveal:
    def test_one_code_is_shown_and_recorded(self, card: Goods) -> None:
        bring(card, b"SHOW-0001\n")
        with in_main():
            code = Code.objects.get(sku_id=card.sku_id)

            shown = services.reveal_for_staff(code_id=code.pk, by=CLERK, reason="buyer's complaint", now=NOW)

            look = CodeReveal.objects.get(code_id=code.pk)
            assert shown == "SHOW-0001"
            assert (look.actor_label, look.reason, look.at) == ("Clerk", "buyer's complaint", NOW)

    def test_without_a_reason_nothing_is_shown(self, card: Goods) -> None:
        bring(card, b"SHOW-0001\n")
        with in_main():
            code = Code.objects.get(sku_id=card.sku_id)
            with pytest.raises(ReasonMissing):
                services.reveal_for_staff(code_id=code.pk, by=CLERK, reason=" ", now=NOW)

            assert not CodeReveal.objects.filter(code_id=code.pk).exists()

    def test_the_record_can_not_be_changed(self, card: Goods) -> None:
        bring(card, b"SHOW-0001\n")
        with in_main():
            code = Code.objects.get(sku_id=card.sku_id)
            services.reveal_for_staff(code_id=code.pk, by=CLERK, reason="complaint", now=NOW)

        with pytest.raises(DatabaseError, match="permission denied"), in_main():
            CodeReveal.objects.filter(code_id=code.pk).delete()

    def test_an_export_records_every_code_before_it_hands_out_the_first(self, card: Goods) -> None:
        done = bring(card, b"OUT-0001\nOUT-0002\n")

        rows = services.export_codes(batch=done.batch, reason="to the supplier", by=CLERK, now=NOW)

        with in_main():
            assert CodeReveal.objects.filter(reason="to the supplier", at=NOW, actor_label="Clerk").count() == 2
        assert list(rows) == [("OUT-0001", "AVAILABLE"), ("OUT-0002", "AVAILABLE")]

    def test_a_page_of_codes_is_masked(self, card: Goods) -> None:
        done = bring(card, b"MASK-ME-4567\n")
        with in_main():
            (row,) = selectors.codes_page(CodeBatch.objects.get(public_id=done.batch))

        assert row.masked == "••••4567"

    def test_a_blob_moved_to_another_sku_can_not_be_opened(self, card: Goods) -> None:
        bring(card, b"BOUND-0001\n")
        with in_main():
            row = Code.objects.get(sku_id=card.sku_id)

        with pytest.raises(crypto.CodeUnreadable):
            keys.open_code(sku_id=card.sku_id + 1, blob=row.blob, key_version=row.key_version)


class TestRotation:
    def test_brings_all_under_the_new_key_in_batches(self, card: Goods, monkeypatch: pytest.MonkeyPatch) -> None:
        from django.conf import settings

        from shared_apps.stock.services import _rotating

        monkeypatch.setattr(_rotating, "BATCH", 3)
        bring(card, b"".join(b"ROT-%04d\n" % n for n in range(10)))
        before = clear(card)
        old = settings.CODE_KEYS
        monkeypatch.setattr(settings, "CODE_KEYS", crypto.ring_json_with_new_key(old))
        current = keys.ring().current

        part = services.rotate(limit=3)
        whole = services.rotate()

        try:
            assert part.rotated == 3
            assert whole.remaining == 0
            assert clear(card) == before
            with in_main():
                assert set(Code.objects.filter(sku_id=card.sku_id).values_list("key_version", flat=True)) == {current}
            assert bring(card, b"ROT-0001\n").in_stock_already == 1  # The blind index does not rotate.
        finally:
            self.back(old, monkeypatch)

    def back(self, old: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Other tests read these codes with the first key: make it the current one again, the new one kept."""
        from django.conf import settings

        ring = json.loads(settings.CODE_KEYS)
        ring["current"] = json.loads(old)["current"]
        monkeypatch.setattr(settings, "CODE_KEYS", json.dumps(ring))
        services.rotate()


class TestCounting:
    def level(self, goods: Goods) -> tuple[int, str]:
        with in_main():
            row = StockLevel.objects.get(pk=goods.sku_id)
        return row.available, row.state

    def test_levels_follow_the_moves(self, card: Goods) -> None:
        services.roll_up(now=NOW)
        first = self.level(card)
        bring(card, b"".join(b"LVL-%04d\n" % n for n in range(11)))
        services.roll_up(now=NOW)
        second = self.level(card)
        with in_main():
            code = Code.objects.filter(sku_id=card.sku_id)[0]
            Code.objects.filter(pk=code.pk).update(state="VOID")
            services.note_moves([card.sku_id])
        services.roll_up(now=NOW)

        assert [first, second, self.level(card)] == [(0, "OUT"), (11, "IN_STOCK"), (10, "LOW")]

    def test_another_mark_is_another_state(self, card: Goods) -> None:
        from shared_apps.library.models import Sku

        bring(card, b"LVL-0001\nLVL-0002\n")
        services.roll_up(now=NOW)
        with in_main():
            Sku.objects.filter(pk=card.sku_id).update(low_stock_at=1)
        services.roll_up(now=NOW)

        assert self.level(card) == (2, "IN_STOCK")

    def test_a_number_is_set_with_its_reason(self, prepared: None) -> None:
        with in_main():
            box = make_goods(policy="COUNTED", delivery="MANUAL", count=3)
            before = services.set_count(
                sku=library.sku_by_code(box.code), available=40, by=CLERK, now=NOW, reason="count"
            )
            details = AuditRecord.objects.get(action="stock.count.set", target=box.code).details
        services.roll_up(now=NOW + timedelta(minutes=1))

        assert before == 3
        assert details == {"before": 3, "after": 40, "reason": "count"}
        assert self.level(box) == (40, "IN_STOCK")

    @pytest.mark.parametrize("wrong", [-1, 10**10])
    def test_refuses_a_number_that_no_stock_has(self, prepared: None, wrong: int) -> None:
        with in_main():
            box = make_goods(policy="COUNTED", delivery="MANUAL", count=3)
            with pytest.raises(services.CountRefused):
                services.set_count(sku=library.sku_by_code(box.code), available=wrong, by=CLERK, now=NOW)

    def test_lists_what_runs_low(self, card: Goods) -> None:
        bring(card, b"LOW-0001\n")
        services.roll_up(now=NOW)
        with in_main():
            rows = {row.sku.pk: (row.available, row.state) for row in selectors.low_stock(limit=10_000)}

        assert rows[card.sku_id] == (1, "LOW")
