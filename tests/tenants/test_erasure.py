"""An erased shop: everything of it is gone but the books, nobody's name stands in what stays, and the proof says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connections, transaction
from django.test import Client

from kameng.accounts.models import AuditRecord
from kameng.accounts.types import SYSTEM, Actor, ActorKind
from kameng.db.context import in_main, pointed_at
from kameng.jobs import services as jobs
from kameng.jobs.models import Job
from kameng.lib import clock, crypto
from tenants import addresses, closing, erasure, hosts
from tenants.archive import exports, snapshot, writing
from tenants.models import ErasureRecord, HeldAddress, ShopExport, Signup, Substation, SubstationStep
from tenants.upgrades import running
from tests.tenant_apps.panel.office import Office
from tests.tenants.archive.test_loading import shut

OLIVE = Actor(ActorKind.USER, "Olive Olsen", 1, "192.0.2.9")
OPERATOR = Actor(ActorKind.USER, "Opal of the main station", 3, "198.51.100.4")


def erase(shop: Any, **more: Any) -> ErasureRecord:
    given = {"public_id": shop.public_id, "typed": shop.slug, "reason": "Asked for by its owner", "by": OPERATOR}
    return erasure.erase(**{**given, "now": clock.utc_now(), **more})


def owner_reads(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connections["owner"].cursor() as cursor:
        cursor.execute(sql, list(values) or None)
        return list(cursor.fetchall())


def everywhere(text: str) -> list[str]:
    """Every shared table, of any app, that holds `text` in some column of some row."""
    tables = owner_reads(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"
    )
    return [
        name
        for (name,) in tables
        if owner_reads(f'SELECT 1 FROM public."{name}" x WHERE x::text ILIKE %s LIMIT 1', f"%{text}%")
    ]


@pytest.fixture
def closed(no_jobs: None, lived_in: Office) -> Office:
    """A shop that lived, whose people did things that the main station noted, and that is closed."""
    from kameng.accounts.models import User
    from kameng.db.context import in_substation
    from shared_apps.library import services as library
    from shared_apps.receipts import services as receipts

    now = clock.utc_now()
    with in_substation(lived_in.shop):
        User.objects.filter(pk=lived_in.users["OWNER"]).update(name="Olive Olsen", email="olive.olsen@example.com")
    with in_main():
        plan = Substation.objects.get(pk=lived_in.shop.pk).plan
        Signup.objects.create(
            name="Olive's", slug=f"signed-{lived_in.shop.pk}", plan=plan, email="olive.olsen@example.com",
            owner_name="Olive Olsen", password="x", code_digest=b"x", code_expires_at=now, token_digest=b"x",
            state="LIVE", ip="192.0.2.9", substation_id=lived_in.shop.pk,
        )  # fmt: skip
        Substation.objects.filter(pk=lived_in.shop.pk).update(
            owner_email="olive.olsen@example.com", owner_name="Olive Olsen"
        )
        receipts.create_account(
            channel="testpay", account_ref=f"own-{lived_in.shop.pk}", name="Olive Olsen's", credentials={"secret": "own"},
            substation_id=lived_in.shop.pk, api_base="http://127.0.0.1:9", by=OLIVE,
        )  # fmt: skip
        exports.ask(substation_id=lived_in.shop.pk, by=OLIVE, now=now, for_owner=True)
        library.set_private_price(
            substation_id=lived_in.shop.pk, sku_id=lived_in.goods.sku_id, unit=Decimal("9.10"), note="Olive Olsen asked",
            by=OPERATOR, now=now,
        )  # fmt: skip
    jobs.run_all_due()
    shut(lived_in.shop)
    return lived_in


class TestGone:
    def test_schema_role_files_cache_jobs_and_archives_are_gone(self, closed: Office) -> None:
        schema = closed.shop.schema_name
        folder = Path(settings.MEDIA_ROOT) / schema
        with in_main():
            archive = exports.path_of(ShopExport.objects.get(substation_id=closed.shop.pk))
        with pointed_at(closed.shop):
            cache.set("page", "kept", 300)
        client = closed.owner
        assert client.get("/panel/").status_code == 200
        assert folder.is_dir() and archive.is_file()

        record = erase(closed.shop)

        assert owner_reads(
            "SELECT to_regnamespace(%s), (SELECT count(*) FROM pg_roles WHERE rolname = %s)", schema, schema
        ) == [(None, 0)]
        assert not folder.exists() and not archive.exists()
        with pointed_at(closed.shop):
            assert cache.get("page") is None
        with in_main():
            assert Job.objects.filter(schema_name=schema).count() == 0
        assert client.get("/panel/").status_code == 410
        assert (
            record.counts["schema"] == record.counts["role"] == record.counts["files"] == record.counts["archives"] == 1
        )
        assert record.counts["cache"] >= 2  # The page and the owner's session at least.

    def test_the_books_stay_and_add_up(self, closed: Office) -> None:
        def books() -> list[tuple[Any, ...]]:
            return owner_reads(
                "SELECT a.code, sum(e.amount_minor), count(*) FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id "
                "JOIN ledger_transfer t ON t.id = e.transfer_id WHERE t.substation_id = %s GROUP BY 1 ORDER BY 1",
                closed.shop.pk,
            ) + owner_reads(
                "SELECT count(*), sum(amount_minor) FROM receipts_receipt WHERE substation_id = %s", closed.shop.pk
            )

        before = books()
        assert len(before) > 3

        erase(closed.shop)

        assert books() == before

    def test_no_name_mail_or_address_of_its_people_stands_anywhere(self, closed: Office) -> None:
        assert "tenants_signup" in everywhere("olive.olsen@example.com")
        assert "receipts_networkorder" in everywhere("a***@example.com")

        record = erase(closed.shop)

        for text in ("olive.olsen", "Olive Olsen", "192.0.2.9"):
            assert everywhere(text) == [], text
        assert owner_reads(
            "SELECT DISTINCT contact_hint FROM receipts_networkorder WHERE substation_id = %s", closed.shop.pk
        ) == [("",)]
        assert owner_reads(
            "SELECT octet_length(credentials), enabled FROM receipts_merchantaccount WHERE substation_id = %s "
            "AND account_ref LIKE 'own-%%'",
            closed.shop.pk,
        ) == [(0, False)]
        # The terms are the main station's own: the price and who set it stay, the note about a person goes.
        assert owner_reads(
            "SELECT unit, note, by FROM library_privateprice WHERE substation_id = %s", closed.shop.pk
        ) == [(Decimal("9.1000"), "[erased]", OPERATOR.label)]
        assert record.shared["tenants_signup"] == 1
        assert record.shared["receipts_networkorder"] == 3

    def test_money_that_comes_late_for_it_becomes_a_case_and_is_not_lost(self, closed: Office) -> None:
        from kameng.db.context import in_substation
        from shared_apps.receipts.models import PaymentCase
        from tenant_apps.orders.models import Order
        from tenant_apps.payments import services as payments
        from tests.tenant_apps import market

        with in_substation(closed.shop):
            order = Order.objects.filter(state="PENDING_PAYMENT").get()
            payment = market.announce(order, closed.account, now=clock.utc_now())
        erase(closed.shop)

        fact = market.pay_fact(closed.account, payment, order.total_minor, occurred_at=clock.utc_now())
        assert payments.take_fact(fact=fact, now=clock.utc_now()) == "CASE"

        with in_main():
            case = PaymentCase.objects.get(substation_id=closed.shop.pk)
        assert (case.kind, case.amount_minor) == ("UNKNOWN_ORDER", order.total_minor)

    def test_others_secrets_still_come_under_a_new_key(self, closed: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its merchant account stays as a row without secrets, which no key opens."""
        from shared_apps.receipts import services as receipts

        erase(closed.shop)
        monkeypatch.setattr(settings, "CODE_KEYS", crypto.ring_json_with_new_key(settings.CODE_KEYS))

        with in_main():
            resealed = [receipts.reseal_accounts(), receipts.reseal_accounts()]
            transaction.set_rollback(True)

        assert resealed[0] > 0 == resealed[1]

    def test_other_shops_keep_theirs(self, closed: Office, alice: Any) -> None:
        before = owner_reads("SELECT x::text FROM tenants_substation x WHERE id = %s", alice.pk)

        erase(closed.shop)

        assert owner_reads("SELECT x::text FROM tenants_substation x WHERE id = %s", alice.pk) == before

    def test_upgrades_and_syncs_pass_it_by(self, closed: Office) -> None:
        from tenant_apps.finance import sync

        erase(closed.shop)

        assert closed.shop.schema_name not in {line.schema_name for line in sync.sync_due()}
        with in_main():
            row = Substation.objects.get(pk=closed.shop.pk)
        assert (row.schema_version, row.schema_name) == ("", f"none_{row.public_id}")
        assert running.fan_out().failed == []


class TestProof:
    def test_it_says_what_was_erased_and_matches_an_archive_of_the_same(
        self,
        closed: Office,
        archived: Callable[..., Path],
    ) -> None:
        import hashlib
        import zipfile

        with zipfile.ZipFile(archived(closed.shop)) as archive:
            held = {
                name[7:-4]: hashlib.sha256(archive.read(name)).hexdigest()
                for name in archive.namelist()
                if name.startswith("tables/") and name.endswith(".csv")
            }

        record = erase(closed.shop)

        assert {name: table["sha256"] for name, table in record.tables.items()} == held
        assert record.tables["orders_order"]["rows"] == 3
        assert (record.state, record.by, record.reason) == (
            "DONE",
            "Opal of the main station",
            "Asked for by its owner",
        )
        assert re.fullmatch("[0-9a-f]{64}", record.digest)
        with in_main():
            steps = list(SubstationStep.objects.filter(substation_id=closed.shop.pk).values_list("event", flat=True))
            acts = list(AuditRecord.objects.filter(target=closed.shop.public_id).values_list("action", flat=True))
        assert steps[0] == "ERASE"
        assert {"tenants.substation.erased", "tenants.substation.wiped"} <= set(acts)

    def test_it_is_never_changed_or_removed(self, closed: Office) -> None:
        record = erase(closed.shop)

        for act in ("update", "delete"):
            rows = ErasureRecord.objects.filter(pk=record.pk)
            with pytest.raises(DatabaseError, match="is not changed or deleted"), in_main():
                rows.update(by="Nobody") if act == "update" else rows.delete()
        with in_main():
            assert ErasureRecord.objects.get(pk=record.pk).digest == record.digest

    def test_gone_on_with_after_a_kill_it_says_no_less(self, closed: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        """The second pass finds less to take away; the proof keeps what the first took."""
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(erasure, "_drop", lambda schema: (_ for _ in ()).throw(KeyboardInterrupt))
            erase(closed.shop)
        with in_main():
            first = ErasureRecord.objects.get(substation_id=closed.shop.pk).shared

        record = erase(closed.shop)

        assert first["tenants_substation"] == 1
        assert record.shared == first

    def test_asked_for_again_it_answers_the_same_proof(self, closed: Office) -> None:
        first = erase(closed.shop)

        again = erase(closed.shop, reason="Once more")

        assert (again.pk, again.digest, again.reason) == (first.pk, first.digest, "Asked for by its owner")

    @pytest.mark.parametrize(
        "killed_in", ["_without_person", "_drop", "_remove_files", "_forget_cache", "_remove_archives"]
    )
    def test_a_kill_at_any_step_is_gone_on_from(
        self, closed: Office, killed_in: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(erasure, killed_in, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                erase(closed.shop)
        assert closed.browser().get("/").status_code == 410

        erasure.go_on(now=clock.utc_now() + timedelta(minutes=11))

        with in_main():
            record = ErasureRecord.objects.get(substation_id=closed.shop.pk)
        assert record.state == "DONE"
        assert everywhere("olive.olsen") == []
        assert owner_reads("SELECT to_regnamespace(%s)", closed.shop.schema_name) == [(None,)]


class TestRefusals:
    def test_a_shop_that_is_not_closed(self, lived_in: Office) -> None:
        with pytest.raises(erasure.NotClosed, match="Close it first"):
            erase(lived_in.shop)

        assert lived_in.browser().get("/").status_code == 200

    @pytest.mark.parametrize("typed", ["", "yes", "another-shop"])
    def test_without_the_address_typed(self, closed: Office, typed: str) -> None:
        with pytest.raises(closing.AddressNotTyped):
            erase(closed.shop, typed=typed)

        with in_main():
            assert ErasureRecord.objects.filter(substation_id=closed.shop.pk).count() == 0

    def test_without_a_reason(self, closed: Office) -> None:
        with pytest.raises(Exception, match="Say why"):
            erase(closed.shop, reason="  ")

    def test_an_archive_of_it_can_t_be_asked_for_any_more(self, closed: Office) -> None:
        erase(closed.shop)

        with pytest.raises(exports.NothingToExport):
            exports.ask(substation_id=closed.shop.pk, by=SYSTEM, now=clock.utc_now(), for_owner=False)
        with pytest.raises(Exception, match="does not exist"), snapshot.of(closed.shop.schema_name) as moment:
            writing.digests(moment)


class TestAddress:
    @pytest.mark.parametrize(
        "path", ["/", "/o/KAAAAAAAAAAAAAA/TOKEN/", "/panel/orders/", "/p/some-card/", "/files/shop/x.webp"]
    )
    def test_its_bookmarked_links_say_in_plain_words_that_it_is_gone(self, closed: Office, path: str) -> None:
        erase(closed.shop)

        page = closed.browser().get(path)
        answer = closed.browser().get(path, headers={"Accept": "application/json"})

        assert page.status_code == answer.status_code == 410
        assert "was closed for good, and its data was erased" in page.content.decode()
        assert answer.json()["error"]["code"] == "gone"
        chinese = Client(HTTP_HOST=closed.shop.host, HTTP_ACCEPT_LANGUAGE="zh-hans").get(path)
        assert "数据已清除" in chinese.content.decode()

    def test_nobody_gets_it_nor_one_that_looks_like_it_while_it_is_held(self, closed: Office) -> None:
        slug = closed.shop.slug
        alike = slug.replace("o", "0")
        erase(closed.shop)

        with in_main():
            assert alike != slug
            assert addresses.is_taken(slug)
            assert addresses.is_taken(alike)
            assert not addresses.is_taken(f"{slug}-quite-another"[:30])

    def test_after_its_time_it_is_free_and_that_is_noted(self, closed: Office) -> None:
        slug, later = closed.shop.slug, clock.utc_now() + timedelta(days=settings.ADDRESS_HOLD_DAYS + 1)
        erase(closed.shop)

        addresses.free_due(now=later)

        with in_main():
            assert not addresses.is_taken(slug)
            assert HeldAddress.objects.filter(slug=slug).count() == 0
            freed = AuditRecord.objects.get(action="tenants.address.freed", target=closed.shop.public_id)
        assert freed.details == {"address": slug}
        assert hosts.substation_for(closed.shop.host, anew=True) is None

    def test_retention_erases_by_itself_where_it_is_set(self, closed: Office) -> None:
        from django.test import override_settings

        with override_settings(RETENTION_DAYS=90):
            erasure.go_on(now=clock.utc_now() + timedelta(days=89))
            with in_main():
                assert ErasureRecord.objects.filter(substation_id=closed.shop.pk).count() == 0
            erasure.go_on(now=clock.utc_now() + timedelta(days=91))

        with in_main():
            assert ErasureRecord.objects.get(substation_id=closed.shop.pk).state == "DONE"


class TestAnArchiveThatIsWrittenMeanwhile:
    def test_is_not_put_in_its_place_any_more(self, closed: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        """The worker has written all of it when the shop is erased; only the last step is left."""
        with in_main():
            asked = exports.ask(substation_id=closed.shop.pk, by=SYSTEM, now=clock.utc_now(), for_owner=False)
        finish = exports._finish

        def late(*given: Any) -> bool:
            erase(closed.shop)
            return finish(*given)

        monkeypatch.setattr(exports, "_finish", late)

        exports.run(public_id=asked.public_id)

        with in_main():
            export = ShopExport.objects.get(pk=asked.pk)
        assert (export.state, exports.path_of(export).exists()) == ("EXPIRED", False)
        assert not [path for path in exports.folder().iterdir() if asked.public_id in path.name]
