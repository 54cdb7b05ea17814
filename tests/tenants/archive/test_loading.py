"""A shop goes out as a file, is erased, and comes back: what is the same, what must differ, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from django.conf import settings
from django.db import connections
from django.test import Client, override_settings

from kameng.accounts import catalogue
from kameng.accounts.models import (
    AccessPolicy,
    Authenticator,
    Passkey,
    RecoveryCode,
    StaffRole,
    StaffSession,
    User,
)
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from kameng.lib.ids import public_id
from kameng.lib.slugs import AddressReserved
from tenants import addresses, closing, erasure, lifecycle
from tenants.archive import form, loading, reading
from tenants.models import Substation
from tenants.states import SubstationEvent
from tests.kameng.accounts.test_second_factor import with_app
from tests.tenant_apps.panel.office import Office


def slug() -> str:
    return f"back-{public_id('x')[2:12].lower()}"


def load(path: Path, **more: Any) -> loading.Loaded:
    return loading.load(path=path, **{"slug": slug(), "by": SYSTEM, "now": clock.utc_now(), **more})


def shut(shop: Any) -> None:
    """Close a shop for good, whatever is open in it."""
    now = clock.utc_now()
    with in_main():
        for event in (SubstationEvent.BEGIN_CLOSING, SubstationEvent.CLOSE):
            lifecycle.move(substation_id=shop.pk, event=event, by=SYSTEM, now=now, closed_at=now)


def tables(path: Path) -> dict[str, list[dict[str, str]]]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.startswith("tables/") and name.endswith(".csv")]
        return {
            name[7:-4]: list(csv.DictReader(io.StringIO(archive.read(name).decode(), newline=""))) for name in names
        }


def files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.startswith("files/")}


def remade(path: Path, change: Callable[[dict[str, bytes]], None], *, sealed: bool = False) -> Path:
    """The archive with other entries; `sealed`: with a manifest that knows of it, and our seal."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    if sealed:
        import hashlib

        manifest = json.loads(entries["manifest.json"])
        manifest["files"] = [
            {"path": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in entries.items()
            if not name.startswith("manifest.")
        ]
        entries["manifest.json"] = json.dumps(manifest).encode()
        entries["manifest.seal"] = form.seal_of(entries["manifest.json"]).encode()
    made = path.with_name(f"{path.stem}-remade.zip")
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return made


def network() -> tuple[Any, ...]:
    """Everything that an import makes, as one value: shops, schemas, roles, folders."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM tenants_substation), (SELECT count(*) FROM tenants_spareschema), "
            "(SELECT count(*) FROM pg_namespace WHERE nspname LIKE 's\\_%'), (SELECT count(*) FROM ledger_account), "
            "(SELECT count(*) FROM tenants_substationstep), (SELECT count(*) FROM accounts_auditrecord)"
        )
        counted = cursor.fetchone()
    root = Path(settings.MEDIA_ROOT)
    return (*counted, sorted(os.listdir(root)) if root.is_dir() else [])


class TestRoundTrip:
    def test_exported_erased_and_imported_it_is_the_same_shop_but_for_ids(
        self, lived_in: Office, archived: Callable[..., Path]
    ) -> None:
        before_path = archived(lived_in.shop)
        before, pictures = tables(before_path), files(before_path)
        shut(lived_in.shop)
        proof = erasure.erase(
            public_id=lived_in.shop.public_id,
            typed=lived_in.shop.slug,
            reason="Round trip",
            by=SYSTEM,
            now=clock.utc_now(),
        )
        assert proof.state == "DONE"

        loaded = load(before_path)

        after_path = archived(loaded.substation)
        after = tables(after_path)
        assert files(after_path) == pictures != {}
        assert set(after) == set(before)
        # The two that differ, and in what: a payment's network-wide id, and the ledger's copy, which begins empty.
        for row_before, row_after in zip(before["payments_payment"], after["payments_payment"], strict=True):
            was, now = row_before.pop("public_id"), row_after.pop("public_id")
            assert was != now and now.startswith("pay_") and len(now) == len(was)
        assert len(before.pop("finance_statementline")) == 1
        assert after.pop("finance_statementline") == []
        assert {name: after[name] for name in before if after[name] != before[name]} == {}
        assert sum(len(rows) for rows in before.values()) > 30
        assert loaded.substation.state == "ACTIVE"

    def test_it_can_be_used_at_once_ids_go_on_and_the_buyer_s_link_opens(
        self, lived_in: Office, archived: Callable[..., Path]
    ) -> None:
        from tenant_apps.orders.models import Order

        placed = lived_in.place(lived_in.add_goods(codes=1))
        loaded = load(archived(lived_in.shop))
        back = Office(loaded.substation, lived_in.goods, lived_in.account, lived_in.category_id, lived_in.users)

        with in_substation(back.shop):
            highest = max(Order.objects.values_list("pk", flat=True))
        fresh = back.place(back.add_goods(codes=1))

        assert back.read(Order, number=fresh.number).pk == highest + 1
        assert back.browser().get(f"/o/{placed.number}/{placed.token}/").status_code == 200
        assert back.owner.get("/panel/").status_code == 200
        with in_substation(back.shop):
            assert {user.has_usable_password() for user in User.objects.all()} == {False}

    def test_another_owner_takes_it_over_and_the_former_ones_are_locked_out(
        self, lived_in: Office, archived: Callable[..., Path]
    ) -> None:
        loaded = load(archived(lived_in.shop), owner_email="New.Owner@example.com")

        assert loaded.substation.owner_email == "new.owner@example.com"
        with in_substation(loaded.substation):
            owners = dict(User.objects.filter(role="OWNER").values_list("email", "is_active"))
        assert owners == {"new.owner@example.com": True, lived_in.shop.owner_email: False}

    def test_roles_of_its_own_come_along_and_second_factors_stay(
        self, lived_in: Office, archived: Callable[..., Path]
    ) -> None:
        with in_substation(lived_in.shop):
            role = StaffRole.objects.create(name="Night shift", permissions=[catalogue.ORDERS_LOOK])
            User.objects.filter(pk=lived_in.users["VIEWER"]).update(own_role=role)
            AccessPolicy.objects.create(factor_for_all=True)
        with_app(lived_in)

        path = archived(lived_in.shop)
        loaded = load(path)

        left = {"accounts_authenticator", "accounts_passkey", "accounts_recoverycode", "accounts_staffsession"}
        assert left & set(tables(path)) == set()
        with in_substation(loaded.substation):
            viewer = User.objects.get(pk=lived_in.users["VIEWER"])
            assert (viewer.role_label, viewer.permissions) == ("Night shift", {catalogue.ORDERS_LOOK, catalogue.OWN})
            assert AccessPolicy.objects.get().factor_for_all
            assert [model.objects.count() for model in (Authenticator, Passkey, RecoveryCode, StaffSession)] == [0] * 4

    def test_who_takes_it_over_is_an_owner_whatever_they_were(
        self, lived_in: Office, archived: Callable[..., Path]
    ) -> None:
        """A role of the shop's own stands beside VIEWER alone: the database holds it."""
        with in_substation(lived_in.shop):
            role = StaffRole.objects.create(name="Night shift", permissions=[catalogue.ORDERS_LOOK])
            User.objects.filter(pk=lived_in.users["VIEWER"]).update(own_role=role)
            email = User.objects.get(pk=lived_in.users["VIEWER"]).email

        loaded = load(archived(lived_in.shop), owner_email=email)

        with in_substation(loaded.substation):
            taken = User.objects.get(pk=lived_in.users["VIEWER"])
            assert (taken.role, taken.own_role_id, taken.is_active) == ("OWNER", None, True)

    def test_by_the_command_line(self, lived_in: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from kameng import cli
        from kameng.cli import substation as command

        monkeypatch.setattr(command, "setup_django", lambda: None)
        path, address = tmp_path / "shop.zip", slug()

        out = CliRunner().invoke(cli.main, ["substation", "export", lived_in.shop.slug, str(path)])
        back = CliRunner().invoke(cli.main, ["substation", "import", str(path), "--slug", address])

        assert out.exit_code == 0, out.output
        assert f"{path}: " in out.output and "SHA-256" in out.output
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert back.exit_code == 0, back.output
        assert f"http://{address}.localhost:8000" in back.output
        assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []


class TestKilled:
    def test_before_it_was_opened_the_same_call_goes_on(
        self, lived_in: Office, archived: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, address = archived(lived_in.shop), slug()
        with monkeypatch.context() as patch:
            patch.setattr(loading.provisioning, "run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                load(path, slug=address)
        assert Client(HTTP_HOST=f"{address}.localhost").get("/").status_code == 404
        with in_main():
            begun = Substation.objects.get(slug=address)

        loaded = load(path, slug=address)

        assert (loaded.substation.pk, loaded.substation.state, loaded.resumed) == (begun.pk, "ACTIVE", True)

    def test_while_it_loads_nothing_is_left(
        self, lived_in: Office, archived: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, before = archived(lived_in.shop), network()
        monkeypatch.setattr(form, "RENEWED", {("payments_payment", "no_such_column"): "pay"})

        with pytest.raises(Exception, match="no_such_column"):
            load(path)

        assert network() == before


class TestRefusals:
    """Each names the file and the cure, and nothing is made."""

    @pytest.fixture
    def path(self, lived_in: Office, archived: Callable[..., Path]) -> Path:
        return archived(lived_in.shop)

    def refused(self, path: Path, kind: type[Exception], *words: str, **more: Any) -> None:
        before = network()
        with pytest.raises(kind) as caught:
            load(path, **more)
        for word in words:
            assert word in str(caught.value)
        assert network() == before

    def test_what_is_no_zip(self, path: Path) -> None:
        other = path.with_name("notes.zip")
        other.write_bytes(b"These are notes.")

        self.refused(other, reading.ArchiveBroken, "notes.zip is no archive", "Export the shop again")

    def test_what_was_cut_off(self, path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-2_000])

        self.refused(path, reading.ArchiveBroken, "was cut off")

    def test_a_bit_that_fell_over(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            at = archive.getinfo("tables/orders_order.csv").header_offset + 200
        data = bytearray(path.read_bytes())
        data[at] ^= 0x40
        path.write_bytes(data)

        self.refused(path, reading.ArchiveBroken, "tables/orders_order.csv is missing or damaged")

    def test_rows_that_were_changed(self, path: Path) -> None:
        def change(entries: dict[str, bytes]) -> None:
            entries["tables/orders_order.csv"] = entries["tables/orders_order.csv"].replace(b"1140", b"1141")

        self.refused(remade(path, change), reading.ArchiveBroken, "tables/orders_order.csv")

    def test_rows_and_manifest_that_were_changed_together(self, path: Path) -> None:
        def change(entries: dict[str, bytes]) -> None:
            entries["manifest.json"] = entries["manifest.json"].replace(b'"CNY"', b'"USD"')

        self.refused(remade(path, change), reading.ArchiveNotOurs, "changed after it was made")

    def test_one_of_another_installation(self, path: Path) -> None:
        with override_settings(SECRET_KEY="another installation's secret, also long enough"):
            self.refused(path, reading.ArchiveNotOurs, "another installation")

    def test_one_from_before_the_key_was_changed_is_taken(self, path: Path) -> None:
        with (
            override_settings(
                SECRET_KEY="a newer secret of the same installation, long", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]
            ),
            reading.opened(path) as archive,
        ):
            assert archive.tables

    def test_a_newer_version(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def change(entries: dict[str, bytes]) -> None:
            entries["manifest.json"] = entries["manifest.json"].replace(b'"version": 1,', b'"version": 2,')

        self.refused(
            remade(path, change, sealed=True), reading.ArchiveNewer, "has version 2; this Kameng reads up to 1. Upgrade"
        )

    @pytest.mark.parametrize(
        "name",
        ["../outside.csv", "/etc/passwd", "files/../../x", "files/shop/.htaccess", "tables\\x.csv", "files/a/b/c.png"],
    )
    def test_a_path_that_leads_elsewhere(self, path: Path, name: str) -> None:
        made = remade(path, lambda entries: entries.update({name: b"x"}), sealed=True)

        self.refused(made, reading.ArchiveUnsafe, "nothing that an archive of a shop holds")

    def test_a_link(self, path: Path) -> None:
        info = zipfile.ZipInfo("files/shop/passwords.webp")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(info, "/etc/passwd")

        self.refused(path, reading.ArchiveUnsafe, "files/shop/passwords.webp")

    def test_a_bomb(self, path: Path) -> None:
        def change(entries: dict[str, bytes]) -> None:
            entries["tables/orders_order.csv"] = b"0" * 300_000_000

        self.refused(remade(path, change, sealed=True), reading.ArchiveUnsafe, "tables/orders_order.csv")

    def test_an_entry_that_is_there_twice(self, path: Path) -> None:
        with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("tables/orders_order.csv", "id\n1\n")

        self.refused(path, reading.ArchiveUnsafe, "tables/orders_order.csv")

    def test_a_file_that_the_manifest_does_not_know(self, path: Path) -> None:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("files/shop/extra.webp", "RIFF")

        self.refused(path, reading.ArchiveUnsafe, "files/shop/extra.webp")

    def test_a_column_that_there_is_none_of(self, path: Path) -> None:
        def change(entries: dict[str, bytes]) -> None:
            entries["manifest.json"] = entries["manifest.json"].replace(b'"notice"', b'"no\\"tice"')

        self.refused(remade(path, change, sealed=True), reading.ArchiveRefused, 'no shop_shopsettings.no"tice')

    def test_rows_that_the_database_does_not_take(self, path: Path) -> None:
        def change(entries: dict[str, bytes]) -> None:
            entries["tables/orders_order.csv"] = entries["tables/orders_order.csv"].replace(b",1140,", b",-1140,")

        self.refused(remade(path, change, sealed=True), loading.RowsRefused, "order_total_positive", "Nothing was made")

    def test_an_address_that_is_taken_or_can_t_be(self, path: Path, alice: Any) -> None:
        self.refused(path, addresses.AddressTaken, "alice is taken", slug="alice")
        self.refused(path, AddressReserved, "kept for the platform", slug="admin")


def test_closing_knows_what_an_erased_shop_was_called(lived_in: Office) -> None:
    with pytest.raises(closing.AddressNotTyped, match=f"Type {lived_in.shop.slug}.localhost"):
        closing.check_typed(lived_in.shop, "another")
    closing.check_typed(lived_in.shop, f"https://{lived_in.shop.host}/")
