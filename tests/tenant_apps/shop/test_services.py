"""The shop's settings: who may change what to what, and that every page knows at once."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from PIL import Image

from kameng.accounts.models import AuditRecord
from kameng.db.context import in_main, in_substation, pointed_at
from kameng.db.scopes import NoTenant
from tenant_apps.shop import selectors, services
from tenant_apps.shop.models import ShopSettings
from tests.tenant_apps.market import CLERK, NOW


def picture(kind: str = "PNG", size: tuple[int, int] = (900, 300)) -> io.BytesIO:
    file = io.BytesIO()
    Image.new("RGB", size, "#e8590c").save(file, kind)
    file.seek(0)
    return file


class TestReading:
    def test_asks_the_database_once(self, fresh_shop: Any) -> None:
        with pointed_at(fresh_shop):
            cache.clear()
            selectors.shop_settings()
            with CaptureQueriesContext(connection) as queries:
                assert selectors.shop_settings().name == fresh_shop.name

        assert len(queries) == 0

    def test_of_one_shop_is_nothing_to_another(self, alice: Any, bob: Any) -> None:
        with pointed_at(alice):
            first = selectors.shop_settings()
        with pointed_at(bob):
            second = selectors.shop_settings()

        assert (first.name, second.name) == ("Alice", "Bob")

    def test_is_refused_in_the_main_stations_scope(self, prepared: None) -> None:
        with in_main(), pytest.raises(NoTenant):
            selectors.shop_settings()


class TestUpdate:
    def test_is_seen_at_once_and_recorded(self, fresh_shop: Any) -> None:
        with in_substation(fresh_shop):
            before = selectors.shop_settings()
            services.update_settings(by=CLERK, now=NOW, notice=" Back on Monday ", accent="#112233", name=before.name)

        with pointed_at(fresh_shop):
            after = selectors.shop_settings()
        assert (after.notice, after.accent) == ("Back on Monday", "#112233")
        with in_substation(fresh_shop):
            record = AuditRecord.objects.filter(action="shop.settings.updated").get()
        assert record.details == {"changed": ["accent", "notice"]}

    def test_that_is_rolled_back_is_forgotten(self, fresh_shop: Any) -> None:
        with pointed_at(fresh_shop), pytest.raises(RuntimeError), transaction.atomic():
            services.update_settings(by=CLERK, now=NOW, notice="Never")
            raise RuntimeError

        with pointed_at(fresh_shop):
            assert selectors.shop_settings().notice == ""

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", "   "), ("name", "x" * 61), ("accent", "red"), ("accent", "#12"), ("language", "xx"),
            ("time_zone", "Mars/Olympus"), ("contact_email", "nobody"), ("notice", "x" * 2001), ("about", "x" * 10_001),
        ],
    )  # fmt: skip
    def test_refuses_what_no_page_could_show(self, fresh_shop: Any, field: str, value: str) -> None:
        with in_substation(fresh_shop):
            before = ShopSettings.objects.values().get()

            with pytest.raises(services.SettingsInvalid) as refused:
                services.update_settings(by=CLERK, now=NOW, **{field: value})

            assert refused.value.field == field
            assert ShopSettings.objects.values().get() == before
            assert not AuditRecord.objects.filter(action="shop.settings.updated").exists()

    @pytest.mark.parametrize("field", ["currency", "logo", "preset", "id", "first_steps", "nothing"])
    def test_changes_no_column_that_is_not_the_owners(self, fresh_shop: Any, field: str) -> None:
        with in_substation(fresh_shop), pytest.raises(TypeError):
            services.update_settings(by=CLERK, now=NOW, **{field: "x"})

    def test_ticks_a_first_step_once(self, fresh_shop: Any) -> None:
        with in_substation(fresh_shop):
            services.tick_first_step(step="priced", by=CLERK, now=NOW)
            services.tick_first_step(step="priced", by=CLERK, now=NOW)

            assert selectors.read_settings().first_steps == {"priced": True}
            assert AuditRecord.objects.filter(action="shop.first_step.done").count() == 1


class TestLogo:
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
    def test_is_written_anew_small_and_served_on_the_shops_host_alone(
        self, fresh_shop: Any, alice: Any, kind: str
    ) -> None:
        from django.test import Client

        with in_substation(fresh_shop):
            shop = services.set_logo(file=picture(kind), by=CLERK, now=NOW)

        served = Client(HTTP_HOST=f"{fresh_shop.slug}.localhost").get(shop.logo_url)
        data = b"".join(served.streaming_content)  # type: ignore[attr-defined]
        with Image.open(io.BytesIO(data)) as kept:
            assert (kept.format, kept.size) == ("WEBP", (512, 171))
        assert Client(HTTP_HOST=f"{alice.slug}.localhost").get(shop.logo_url).status_code == 404

    @pytest.mark.parametrize(
        "data",
        [b"", b"<svg xmlns='http://www.w3.org/2000/svg'><script>x</script></svg>", b"\x89PNG\r\n\x1a\nbroken", b"GIF89a",
         b"x" * (2 * 1024 * 1024 + 1)],
        ids=["empty", "svg", "broken", "cut off", "too large"],
    )  # fmt: skip
    def test_refuses_what_is_no_picture(self, fresh_shop: Any, data: bytes) -> None:
        with in_substation(fresh_shop):
            with pytest.raises(services.LogoRefused):
                services.set_logo(file=io.BytesIO(data), by=CLERK, now=NOW)

            assert selectors.read_settings().logo == ""

    def test_refuses_a_small_file_that_unpacks_to_a_huge_picture(self, fresh_shop: Any) -> None:
        with in_substation(fresh_shop), pytest.raises(services.LogoRefused):
            services.set_logo(file=picture("PNG", (6000, 6000)), by=CLERK, now=NOW)

    def test_can_be_taken_away(self, fresh_shop: Any) -> None:
        with in_substation(fresh_shop):
            services.set_logo(file=picture(), by=CLERK, now=NOW)
            assert services.remove_logo(by=CLERK, now=NOW).logo_url == ""
