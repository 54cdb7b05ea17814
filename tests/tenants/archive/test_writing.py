"""What an archive holds, that it is of one moment, and that the network's size is not in its cost."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from kameng.accounts.types import Actor, ActorKind
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from tenants.archive import form, snapshot, writing
from tenants.models import Substation
from tests.tenant_apps.panel.office import Office

OWNER = Actor(ActorKind.USER, "Olive", 1, "192.0.2.7")


def read(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def table(path: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(read(path, f"tables/{name}.csv").decode())))


class TestContents:
    def test_every_table_of_the_schema_is_in_it_or_has_its_reason(self, lived_in: Office, archived: Any) -> None:
        with connections["owner"].cursor() as cursor:
            cursor.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'",
                [lived_in.shop.schema_name],
            )
            there = {name for (name,) in cursor.fetchall()}

        manifest = json.loads(read(archived(lived_in.shop), "manifest.json"))

        assert {item["name"] for item in manifest["tables"]} == there - set(form.LEFT_OUT)
        assert set(form.LEFT_OUT) <= there
        assert manifest["left_out"] == form.LEFT_OUT
        assert set(form.tenant_tables()) == there

    def test_the_manifest_says_size_rows_and_digest_of_each(self, lived_in: Office, archived: Any) -> None:
        path = archived(lived_in.shop)

        manifest = json.loads(read(path, "manifest.json"))

        assert (manifest["format"], manifest["version"], manifest["with_codes"]) == ("kameng-substation", 1, False)
        assert manifest["schema_version"] == lived_in.shop.schema_version
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            assert [item["path"] for item in manifest["files"]] == archive.namelist()[:-2]
            for item in manifest["files"]:
                data = archive.read(item["path"])
                assert (item["bytes"], item["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
            for item in manifest["tables"]:
                rows = table(path, item["name"])
                assert len(rows) == item["rows"]
                lines = archive.read(f"tables/{item['name']}.jsonl").decode().splitlines()
                assert [list(json.loads(line)) for line in lines] == [item["columns"]] * item["rows"]

    def test_texts_are_as_they_were_written_in_both_forms(self, lived_in: Office, archived: Any) -> None:
        path = archived(lived_in.shop)

        (settings,) = table(path, "shop_shopsettings")
        parsed = json.loads(read(path, "tables/shop_shopsettings.jsonl"))

        assert settings["notice"] == parsed["notice"] == 'Zeilen\nund "Zeichen", 中文, =1+1, \\N und \\.'
        assert read(path, f"files/shop/{settings['logo']}")[:4] == b"RIFF"

    def test_no_password_and_no_key_leaves_the_shop(self, lived_in: Office, archived: Any) -> None:
        path = archived(lived_in.shop)

        assert {row["password"] for row in table(path, "accounts_user")} == {"!"}
        with zipfile.ZipFile(path) as archive:
            assert "codes.csv" not in archive.namelist()
            everything = b"".join(archive.read(name) for name in archive.namelist())
        for text in lived_in.goods.texts:
            assert text.encode() not in everything

    def test_statements_add_up_line_by_line(self, lived_in: Office, archived: Any) -> None:
        rows = list(csv.DictReader(io.StringIO(read(archived(lived_in.shop), "statements/pending.csv").decode())))

        assert len(rows) == 1
        assert rows[0]["amount_minor"] == rows[0]["balance_minor"] == "180"

    def test_codes_are_for_whoever_may_have_them_and_each_is_recorded(self, lived_in: Office, archived: Any) -> None:
        from shared_apps.stock.models import CodeReveal

        path = archived(lived_in.shop, codes_for=OWNER)

        rows = list(csv.DictReader(io.StringIO(read(path, "codes.csv").decode("utf-8-sig"))))
        assert [row["code"] for row in rows] == [lived_in.goods.texts[0]]
        with in_main():
            seen = CodeReveal.objects.get(substation_id=lived_in.shop.pk)
        assert (seen.order_number, seen.actor_label, seen.ip) == (rows[0]["order"], "Olive", "192.0.2.7")


class TestOneMoment:
    def test_orders_that_come_in_meanwhile_tear_nothing(self, lived_in: Office, archived: Callable[..., Path]) -> None:
        placed = []

        def meanwhile(done: writing.Progress) -> None:
            """After each part that is written, somebody buys."""
            if done.done <= 3:
                placed.append(lived_in.place(lived_in.add_goods(codes=1)))

        path = archived(lived_in.shop, progress=meanwhile)

        orders = {row["id"] for row in table(path, "orders_order")}
        assert len(placed) == 3
        assert not {one.number for one in placed} & {row["number"] for row in table(path, "orders_order")}
        assert {row["order_id"] for row in table(path, "orders_orderline")} <= orders
        assert {row["order_id"] for row in table(path, "orders_orderstep")} <= orders
        with in_substation(lived_in.shop):
            from tenant_apps.orders.models import Order

            assert Order.objects.count() == len(orders) + 3

    def test_the_shop_s_own_role_reads_and_no_other_shop_can_be_read(self, lived_in: Office, bob: Any) -> None:
        with snapshot.of(lived_in.shop.schema_name) as moment:
            assert moment.rows("SELECT current_user, current_schema()") == [
                (lived_in.shop.schema_name, lived_in.shop.schema_name)
            ]
            with pytest.raises(Exception, match="permission denied"):
                moment.rows(f'SELECT 1 FROM "{bob.schema_name}".orders_order')

    def test_nothing_can_be_written(self, lived_in: Office) -> None:
        with snapshot.of(lived_in.shop.schema_name) as moment, pytest.raises(Exception, match="read-only transaction"):
            moment.rows("DELETE FROM orders_orderline RETURNING 1")


class TestCost:
    def test_what_finds_the_tables_reads_no_catalogue_as_a_whole(self, lived_in: Office) -> None:
        """The catalogue grows with the network: a scan of it would make a shop's export wait for all the others."""
        with connections["owner"].cursor() as cursor:
            cursor.execute(
                "EXPLAIN " + snapshot.COLUMNS,
                {"schema": lived_in.shop.schema_name, "tables": list(form.tenant_tables())},
            )
            plan = "\n".join(line for (line,) in cursor.fetchall())

        assert "Seq Scan on pg_" not in plan, plan
        assert "pg_attribute_relid_attnum_index" in plan

    def test_it_is_written_to_a_stream_that_can_t_be_sought_in(self, lived_in: Office) -> None:
        class Pipe(io.RawIOBase):
            size = 0

            def writable(self) -> bool:
                return True

            def write(self, data: Any, /) -> int:
                self.size += len(data)
                return len(data)

        pipe = Pipe()
        with in_main():
            row = Substation.objects.select_related("plan").get(pk=lived_in.shop.pk)

        written = writing.write(substation=row, out=pipe, now=clock.utc_now())  # type: ignore[arg-type]

        assert written.size_bytes == pipe.size > 0
