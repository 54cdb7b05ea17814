"""Which code serves which schema: a notice in place of errors, and old requests beside new schemas."""

from __future__ import annotations

import re
from typing import Any

import psycopg2
from django.core.cache import cache
from django.db import connection

from kameng.db.context import in_main, in_substation
from kameng.jobs import registry
from kameng.jobs import services as jobs
from kameng.jobs.models import Job
from kameng.lib import clock
from tenant_apps.orders.models import Order
from tenant_apps.shop.models import ShopSettings
from tenants import hosts, spares, template
from tenants.models import Substation
from tenants.upgrades import running, versions
from tests.api.conftest import some_goods
from tests.tenant_apps import market
from tests.tenants.upgrades.conftest import ADD_MOTTO, Network

# An expand–contract pair: the new name beside the old one; a release later, the old one goes.
EXPAND = """\
operations = [
    migrations.AddField("shopsettings", "claim", models.CharField(max_length=120, db_default="", default="")),
]
"""
CONTRACT = """\
contract = "The release before was the last to read it."
operations = [migrations.RemoveField("shopsettings", "tagline")]
"""
INDEX = """\
code_runs_without = True
allow = {"index": "One row a shop."}
operations = [migrations.AddIndex("shopsettings", models.Index(fields=["name"], name="settings_name"))]
"""
NOTICE = "This shop is being updated. Come back in a few minutes; orders and payments are kept."


def break_schema(network: Network, shop: Any) -> None:
    """Somebody has put a column there by hand: the step that brings it fails."""
    network.sql(f"ALTER TABLE {shop.schema_name}.shop_shopsettings ADD COLUMN motto integer")


def rename_shop(shop: Any, tagline: str) -> None:
    """What a form of the code in the repository does."""
    with in_substation(shop):
        row = ShopSettings.objects.get()
        row.tagline = tagline
        row.save()


class TestAShopThatFails:
    def test_is_named_stays_old_and_does_not_stop_the_others(self, network: Network) -> None:
        broken = network.shops[2]
        break_schema(network, broken)
        old = template.recorded_version()
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))

        status, out = network.run()

        assert status == 1
        assert "Upgraded 7 schemas" in out
        assert "1 failed" in out
        assert re.search(rf"{broken.schema_name} +row-3 +column \"motto\" of relation", out)
        assert f"kameng migrate --only {broken.schema_name}" in out
        found = network.versions()
        assert found.pop(broken.schema_name) == old
        assert set(found.values()) == {template.schema_version()}

    def test_is_served_by_a_notice_until_a_later_run_mends_it(self, network: Network) -> None:
        broken, sound = network.shops[2], network.shops[3]
        break_schema(network, broken)
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))
        network.upgrade()

        page = network.visit(broken)
        assert page.status_code == 503
        assert page["Retry-After"] == "60"
        assert NOTICE in page.content.decode()
        assert "Row 3" in page.content.decode()
        chinese = network.visit(broken, HTTP_ACCEPT_LANGUAGE="zh-CN").content.decode()
        assert "本店正在升级，请过几分钟再来；订单和付款都会保留。" in chinese
        answer = network.visit(broken, "/api/v1/products/")
        assert (answer.status_code, answer.json()["error"]) == (
            503,
            {"code": "shop_being_updated", "message": NOTICE, "field": None, "details": {"retry_after_s": 60}},
        )
        assert "本店正在升级" in network.visit(broken, "/?lang=zh-hans").content.decode()  # Its language menu works.
        fragment = network.visit(broken, "/panel/", HTTP_HX_REQUEST="true")
        assert (fragment.status_code, fragment["HX-Retarget"]) == (503, "#toasts")
        assert NOTICE in fragment.content.decode()
        assert network.visit(sound).status_code == 200
        with in_main():
            row = Substation.objects.get(pk=broken.pk)
        assert row.schema_problem == 'column "motto" of relation "shop_shopsettings" already exists'

        network.sql(f"ALTER TABLE {broken.schema_name}.shop_shopsettings DROP COLUMN motto")
        report = network.upgrade(only=[broken.schema_name])

        assert (report.moved, report.failed) == (1, [])
        versions.forget()  # The refusal is kept for five seconds; another process has none.
        assert network.visit(broken).status_code == 200
        with in_main():
            assert Substation.objects.get(pk=broken.pk).schema_problem == ""

    def test_keeps_its_background_work_until_it_can_be_done(self, network: Network) -> None:
        broken = network.shops[2]
        break_schema(network, broken)
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))
        network.upgrade()
        with in_substation(broken):
            job_id = jobs.enqueue(kind="payments.ask_soon", payload={"order_number": "1"}, run_at=clock.utc_now())
        assert job_id is not None

        assert registry.is_held(broken.schema_name)
        assert not jobs.run(job_id)

        with in_main():
            job = Job.objects.get(pk=job_id)
        assert (job.state, job.attempts, job.last_error) == ("PENDING", 0, "")
        assert job.run_at > clock.utc_now()

    def test_when_all_fail_it_is_the_migration_and_the_run_stops(self, network: Network, monkeypatch: Any) -> None:
        for shop in network.shops:
            break_schema(network, shop)
        for spare in list(network.versions())[:2]:
            network.sql(f"ALTER TABLE {spare}.shop_shopsettings ADD COLUMN motto integer")
        monkeypatch.setattr(running, "GIVE_UP_AFTER", 4)
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))

        report = network.upgrade(jobs=1)

        assert report.stopped
        assert (report.moved, len(report.replaced)) == (0, 2)
        assert [outcome.unit.shop for outcome in report.failed] == ["row-1", "row-2"]

    def test_a_spare_that_fails_is_thrown_away(self, network: Network) -> None:
        spare = next(iter(network.versions()))
        network.sql(f"ALTER TABLE {spare}.shop_shopsettings ADD COLUMN motto integer")
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))

        report = network.upgrade()

        assert (report.moved, report.replaced, report.failed) == (7, [spare], [])
        assert spare not in network.versions()
        assert network.sql("SELECT to_regnamespace(%s)", spare) == [(None,)]
        assert network.sql("SELECT count(*) FROM tenants_spareschema WHERE schema_name = %s", spare) == [(0,)]

    def test_a_spare_that_a_signup_took_is_not(self, network: Network) -> None:
        taken = network.shops[0].schema_name

        assert not running.throw_away(taken)

        assert network.sql("SELECT to_regnamespace(%s) IS NOT NULL", taken) == [(True,)]


class TestExpandAndContract:
    def test_old_requests_run_on_expanded_schemas_and_not_on_contracted_ones(self, network: Network) -> None:
        shop = network.shops[0]
        network.releases.deploy(("9001_expand", EXPAND))
        network.upgrade()
        network.releases.roll_back()  # The code before still serves, and the schemas have moved.

        assert network.visit(shop).status_code == 200
        rename_shop(shop, "Good cards")
        assert network.sql(f"SELECT tagline, claim FROM {shop.schema_name}.shop_shopsettings") == [("Good cards", "")]
        assert not registry.is_held(shop.schema_name)

        network.releases.deploy(("9001_expand", EXPAND), ("9002_contract", CONTRACT))
        network.upgrade()
        network.releases.roll_back()

        assert network.visit(shop).status_code == 503
        assert registry.is_held(shop.schema_name)

    def test_old_requests_run_while_the_schemas_move(self, network: Network) -> None:
        """An order and an edit in every shop, before, between and after: one schema is held back by a lock meanwhile."""
        with in_main():
            goods = some_goods(codes=2 * len(network.shops))
        for shop in network.shops:
            market.stock_shelves(shop)
        held = network.shops[2]
        old = template.recorded_version()
        network.releases.deploy(("9001_expand", EXPAND))
        waiting_for = psycopg2.connect(network.superuser_url)
        waiting_for.cursor().execute(f"LOCK TABLE {held.schema_name}.shop_shopsettings IN ACCESS SHARE MODE")
        process = network.start("--lock-timeout", "0.05")
        network.releases.roll_back()  # Here the code before serves; the process has the new one.

        others = [shop for shop in network.shops if shop != held]
        while process.poll() is None and [network.versions()[shop.schema_name] for shop in others].count(old):
            assert {network.visit(shop).status_code for shop in network.shops} == {200}
        assert network.versions()[held.schema_name] == old
        for shop in network.shops:
            assert network.order(shop, goods).status_code == 201
            rename_shop(shop, "in between")
        waiting_for.close()
        out, _ = process.communicate()
        for shop in network.shops:
            assert network.order(shop, goods).status_code == 201
            rename_shop(shop, "afterwards")

        assert process.returncode == 0, out
        assert set(network.versions().values()) - {old} == {network.versions()[held.schema_name]}
        for shop in network.shops:
            with in_substation(shop):
                assert (Order.objects.count(), ShopSettings.objects.get().tagline) == (2, "afterwards")

    def test_a_signup_on_old_code_gets_a_schema_of_the_new_version(self, network: Network) -> None:
        network.releases.deploy(("9001_expand", EXPAND))
        network.upgrade()
        new = template.schema_version()
        network.releases.roll_back()
        assert template.schema_version() != new

        assert spares.current_script().version == new
        assert spares.fill(2) == 0  # The two that are there have moved, and are as good.
        with in_main():
            fresh = Substation.objects.create(
                slug="late", name="Late", plan=network.shops[0].plan, schema_name="none_1"
            )
            taken = spares.take(fresh.pk, clock.utc_now())
        assert taken is not None
        assert taken.version == new

    def test_new_code_serves_a_schema_without_what_it_runs_without(self, network: Network) -> None:
        shop = network.shops[5]
        old = network.versions()[shop.schema_name]
        network.releases.deploy(("9001_index", INDEX))
        network.upgrade(only=network.schemas[:1])

        assert network.versions()[shop.schema_name] == old
        assert network.visit(shop).status_code == 200
        assert versions.served() == [template.schema_version(), *versions.served()[1:-1], old]

    def test_new_code_does_not_serve_a_schema_without_a_column_that_it_reads(self, network: Network) -> None:
        network.releases.deploy(("9001_expand", EXPAND))
        network.upgrade(only=network.schemas[:1])

        assert network.visit(network.shops[0]).status_code == 200
        assert network.visit(network.shops[5]).status_code == 503


class TestTheCheck:
    def test_costs_a_known_version_no_query(self, network: Network) -> None:
        own = template.schema_version()
        sent: list[str] = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            sent.append(sql)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            assert versions.serves(own)
            first = len(sent)
            assert all(versions.serves(own) for _ in range(100))

        assert (first, len(sent)) == (1, 1)

    def test_what_is_cached_of_a_host_does_not_close_a_shop_that_has_moved(self, network: Network) -> None:
        shop = network.shops[0]
        stale = hosts.info_of(shop)
        network.releases.deploy(("9001_expand", EXPAND))
        network.upgrade()
        cache.set(f"global:host:{shop.host}", stale, 300)

        assert network.visit(shop).status_code == 200
        found = hosts.substation_for(shop.host)
        assert found is not None
        assert found.schema_version == template.schema_version()

    def test_what_code_without_versions_has_cached_is_read_anew(self, network: Network) -> None:
        shop = network.shops[0]
        info = hosts.info_of(shop)
        object.__delattr__(info, "schema_version")
        cache.set(f"global:host:{shop.host}", info, 300)

        assert network.visit(shop).status_code == 200

    def test_an_upgrade_drops_the_shops_hosts_from_the_cache(self, network: Network) -> None:
        shop = network.shops[0]
        network.visit(shop)
        assert cache.get(f"global:host:{shop.host}") is not None
        network.releases.deploy(("9001_expand", EXPAND))

        network.upgrade()

        assert cache.get(f"global:host:{shop.host}") is None
