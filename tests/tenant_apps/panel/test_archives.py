"""A shop's archives, as its owner makes and fetches them."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import timedelta
from typing import Any

import pytest

from kameng.accounts import catalogue
from kameng.accounts.models import StaffRole, User
from kameng.db.context import in_main, in_substation
from kameng.jobs import services as jobs
from kameng.lib import clock
from tenants.archive import exports
from tenants.models import ShopExport
from tests.kameng.accounts.test_second_factor import with_app
from tests.tenant_apps.panel.office import Office, move_shop, owe
from tests.tenant_apps.storefront.conftest import words

pytestmark = pytest.mark.usefixtures("no_jobs")


class TestArchives:
    def test_everything_is_made_in_the_background_and_fetched_by_a_link(self, office: Office) -> None:
        owner = office.owner

        asked = owner.post("/panel/archives/make/", {"deed": "plain"})
        waiting = words(owner.get("/panel/archives/"))
        watched = [owner.get("/panel/archives/", headers={"HX-Request": "true", "HX-Target": "archives"})]
        jobs.run_all_due()
        watched.append(owner.get("/panel/archives/", headers={"HX-Request": "true", "HX-Target": "archives"}))
        page = owner.get("/panel/archives/")

        assert asked.status_code == 302
        assert "Waiting for a worker" in waiting
        assert "Ready" in words(page)
        assert ["HX-Refresh" in one for one in watched] == [False, True]  # Its buttons come back when it is ready.
        link = re.search(r'href="(/panel/archives/fetch/[^"]+)"', page.content.decode())
        assert link is not None
        fetched = owner.get(link[1])
        assert fetched["Content-Disposition"].startswith(f'attachment; filename="{office.shop.slug}-')
        assert "no-store" in fetched["Cache-Control"] and "private" in fetched["Cache-Control"]
        content = b"".join(fetched.streaming_content)
        fetched.close()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert "tables/orders_order.csv" in archive.namelist()
            assert "codes.csv" not in archive.namelist()
        with in_main():
            export = ShopExport.objects.get(substation_id=office.shop.pk)
        assert (export.state, export.size_bytes, export.parts_done) == ("DONE", len(content), export.parts_total)

    def test_the_link_is_good_on_this_host_for_a_day_and_for_the_owner(
        self, office: Office, make_office: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        office.owner.post("/panel/archives/make/", {})
        jobs.run_all_due()
        with in_main():
            export = ShopExport.objects.select_related("substation").get(substation_id=office.shop.pk)
        host = f"{office.shop.slug}.localhost"
        path = f"/panel/archives/fetch/{exports.make_link(export, host)}/"
        other = make_office()

        got = office.owner.get(path)
        got.close()
        assert got.status_code == 200
        assert office.browser().get(path).status_code == 302  # To the log-in.
        assert office.staff.get(path).status_code == 403
        assert other.owner.get(path).status_code == 403
        foreign = f"/panel/archives/fetch/{exports.make_link(export, f'{other.shop.slug}.localhost')}/"
        assert other.owner.get(foreign).status_code == 403
        monkeypatch.setattr(exports, "LINK_LIFE_S", -1)
        assert office.owner.get(path).status_code == 403

    def test_two_clicks_make_one(self, office: Office) -> None:
        first = office.owner.post("/panel/archives/make/", {})
        second = office.owner.post("/panel/archives/make/", {})

        assert (first.status_code, second.status_code) == (302, 409)
        with in_main():
            assert ShopExport.objects.filter(substation_id=office.shop.pk).count() == 1

    def test_it_is_taken_away_after_a_week(self, office: Office) -> None:
        office.owner.post("/panel/archives/make/", {})
        jobs.run_all_due()
        with in_main():
            export = ShopExport.objects.select_related("substation").get(substation_id=office.shop.pk)
        path = exports.path_of(export)
        assert path.is_file()

        exports.sweep(now=clock.utc_now() + timedelta(days=8))

        assert not path.exists()
        link = exports.make_link(export, f"{office.shop.slug}.localhost")
        assert office.owner.get(f"/panel/archives/fetch/{link}/").status_code == 404

    def test_three_are_kept_and_the_oldest_goes(self, office: Office) -> None:
        for _time in range(4):
            office.owner.post("/panel/archives/make/", {})
            jobs.run_all_due()

        with in_main():
            made = list(ShopExport.objects.filter(substation_id=office.shop.pk).order_by("id"))
        assert [export.state for export in made] == ["EXPIRED", "DONE", "DONE", "DONE"]
        assert [exports.path_of(export).is_file() for export in made] == [False, True, True, True]

    @pytest.mark.unproved
    def test_codes_want_a_second_factor_to_be_asked_for_and_to_be_fetched(self, office: Office) -> None:
        office.pay(office.place())
        totp, owner = with_app(office), office.owner

        asked = owner.post("/panel/archives/make/", {"deed": "codes"})
        wrong = owner.post("/panel/archives/make/", {"deed": "codes", "step_up": "code", "step_up_code": "1"})

        assert (asked.status_code, wrong.status_code) == (403, 422)
        assert 'name="deed" value="codes"' in asked.content.decode()
        with in_main():
            assert ShopExport.objects.filter(substation_id=office.shop.pk).count() == 0

        right = owner.post("/panel/archives/make/", {"deed": "codes", "step_up": "code", "step_up_code": totp.now()})
        made = owner.post("/panel/archives/make/", {"deed": "codes"})
        jobs.run_all_due()

        assert (right.status_code, made.status_code) == (307, 302)
        with in_main():
            export = ShopExport.objects.select_related("substation").get(substation_id=office.shop.pk)
        with zipfile.ZipFile(exports.path_of(export)) as archive:
            assert office.goods.texts[0] in archive.read("codes.csv").decode("utf-8-sig")
        path = f"/panel/archives/fetch/{exports.make_link(export, f'{office.shop.slug}.localhost')}/"
        another = office.owner  # Another browser of the same person, which has proved nothing.
        refused, fetched, back = another.get(path), owner.get(path), owner.post(path)
        fetched.close()
        assert (refused.status_code, fetched.status_code, back.status_code) == (403, 200, 302)
        assert refused["Content-Type"].startswith("text/html") and fetched["Content-Type"] == "application/zip"

    @pytest.mark.unproved
    def test_one_without_codes_asks_for_nothing(self, office: Office) -> None:
        assert office.owner.post("/panel/archives/make/", {"deed": "plain"}).status_code == 302

    @pytest.mark.parametrize("standing", ["READ_ONLY", "SHUT"])
    def test_who_owes_takes_what_is_theirs_along(self, office: Office, standing: str) -> None:
        owe(office, standing)
        owner = office.owner

        offered = words(owner.get("/panel/archives/"))
        made = owner.post("/panel/archives/make/", {"deed": "plain"})

        assert "Export everything" in offered
        assert "Export with the codes" in offered
        assert made.status_code == 302
        with in_main():
            assert ShopExport.objects.filter(substation_id=office.shop.pk).count() == 1

    @pytest.mark.parametrize("standing", ["READ_ONLY", "SHUT"])
    def test_so_does_who_was_closed_while_they_owed(self, office: Office, standing: str) -> None:
        owe(office, standing)
        move_shop(office, "BEGIN_CLOSING", "CLOSE")
        owner = office.owner

        offered = re.search(r'<form[^>]*action="/panel/archives/make/"', owner.get("/panel/archives/").content.decode())
        made = owner.post("/panel/archives/make/", {"deed": "plain"})

        assert offered is not None
        assert made.status_code == 302
        with in_main():
            assert ShopExport.objects.filter(substation_id=office.shop.pk).count() == 1

    def test_whoever_may_make_one_and_not_see_codes_gets_none_with_codes(self, office: Office) -> None:
        with in_substation(office.shop):
            role = StaffRole.objects.create(name="Keeper", permissions=[catalogue.ARCHIVE_MAKE])
            User.objects.filter(pk=office.users["VIEWER"]).update(own_role=role)
        keeper = office.browser("VIEWER")

        codes = keeper.post("/panel/archives/make/", {"deed": "codes"})
        plain = keeper.post("/panel/archives/make/", {"deed": "plain"})

        assert (codes.status_code, plain.status_code) == (403, 302)
        with in_main():
            assert [one.with_codes for one in ShopExport.objects.filter(substation_id=office.shop.pk)] == [False]
        jobs.run_all_due()
        assert office.owner.post("/panel/archives/make/", {"deed": "codes"}).status_code == 302
        jobs.run_all_due()
        with in_main():
            theirs = ShopExport.objects.select_related("substation").get(substation_id=office.shop.pk, with_codes=True)
        link = exports.make_link(theirs, f"{office.shop.slug}.localhost")
        assert keeper.get(f"/panel/archives/fetch/{link}/").status_code == 403
