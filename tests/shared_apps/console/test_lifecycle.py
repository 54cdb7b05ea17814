"""The end of a shop from the console: closed with a reason, called off, archived, erased with its proof on the page."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

import pytest
from django.test import Client

from kameng.db.context import in_main
from kameng.jobs import services as jobs
from tenants.archive import exports
from tenants.models import ErasureRecord, ShopExport
from tests.shared_apps.console.test_access import url
from tests.shared_apps.console.test_tenants import fresh, trail
from tests.tenant_apps.storefront.conftest import words


@pytest.fixture(autouse=True)
def _no_wake(monkeypatch: pytest.MonkeyPatch, no_jobs: None) -> None:
    monkeypatch.setattr(jobs, "_wake", lambda job_id: None)


def close(operator: Client, shop: Any, **more: Any) -> Any:
    return operator.post(url("close", shop.public_id), {"reason": "Papers expired", "typed": shop.slug, **more})


class TestClosing:
    def test_wants_a_reason_and_the_address_and_keeps_what_was_typed(self, operator: Client, fresh_shop: Any) -> None:
        for more, said in (({"reason": " "}, "Say why"), ({"typed": "no"}, f"Type {fresh_shop.host} to confirm")):
            answer = close(operator, fresh_shop, **more)

            assert answer.status_code == 422
            assert said in words(answer) or more == {"reason": " "}
        assert b'value="Papers expired"' in answer.content
        assert fresh(fresh_shop).state == "ACTIVE"
        assert trail(fresh_shop.public_id) == []

    def test_goes_its_way_and_stands_in_the_shop_s_life(self, operator: Client, fresh_shop: Any) -> None:
        assert close(operator, fresh_shop).status_code == 302
        assert fresh(fresh_shop).state == "CLOSING"
        assert operator.post(url("keep", fresh_shop.public_id)).status_code == 302
        assert fresh(fresh_shop).state == "ACTIVE"
        close(operator, fresh_shop)
        page = words(operator.get(url("substation", fresh_shop.public_id)))
        assert "Nothing is open any more" in page and "Papers expired" in page
        assert operator.post(url("finish", fresh_shop.public_id)).status_code == 302

        page = words(operator.get(url("substation", fresh_shop.public_id)))
        assert fresh(fresh_shop).state == "CLOSED"
        for step in ("Opened", "Closing began", "Closing was called off", "Closed for good"):
            assert step in page
        assert trail(fresh_shop.public_id) == [
            "tenants.substation.closing", "tenants.substation.kept", "tenants.substation.closing", "tenants.substation.closed",
        ]  # fmt: skip


class TestArchives:
    def test_one_is_made_and_fetched_by_an_operator(self, operator: Client, viewer: Client, fresh_shop: Any) -> None:
        operator.post(url("export", fresh_shop.public_id))
        jobs.run_all_due()

        page = operator.get(url("substation", fresh_shop.public_id))
        link = re.search(r'href="(/console/substations/[^"]+/export/[^"]+)"', page.content.decode())

        assert link is not None
        got = operator.get(link[1])
        with zipfile.ZipFile(io.BytesIO(b"".join(got.streaming_content))) as archive:
            assert "codes.csv" not in archive.namelist()
        got.close()
        assert viewer.get(link[1]).status_code == 403
        assert Client(HTTP_HOST="localhost").get(link[1]).status_code == 302

    def test_what_its_owner_made_stays_the_owner_s(self, operator: Client, fresh_shop: Any) -> None:
        from kameng.accounts.types import SYSTEM
        from kameng.lib import clock

        made = exports.ask(substation_id=fresh_shop.pk, by=SYSTEM, now=clock.utc_now(), for_owner=True)
        jobs.run_all_due()
        with in_main():
            made = ShopExport.objects.select_related("substation").get(pk=made.pk)
        link = exports.make_link(made, "localhost")

        assert made.state == "DONE"
        assert operator.get(url("fetch", fresh_shop.public_id, link)).status_code == 403
        assert "/export/" not in re.sub(
            r'action="[^"]+"', "", operator.get(url("substation", fresh_shop.public_id)).content.decode()
        )


class TestErasure:
    def test_only_of_a_closed_shop(self, operator: Client, fresh_shop: Any) -> None:
        answer = operator.post(url("erase", fresh_shop.public_id), {"reason": "Asked for", "typed": fresh_shop.slug})

        assert answer.status_code == 422
        assert "Only a closed shop can be erased" in words(answer)
        assert fresh(fresh_shop).state == "ACTIVE"

    def test_leaves_its_proof_on_the_page(self, operator: Client, fresh_shop: Any) -> None:
        close(operator, fresh_shop)
        operator.post(url("finish", fresh_shop.public_id))

        wrong = operator.post(url("erase", fresh_shop.public_id), {"reason": "Asked for", "typed": "another"})
        right = operator.post(url("erase", fresh_shop.public_id), {"reason": "Asked for", "typed": fresh_shop.host})

        assert (wrong.status_code, right.status_code) == (422, 302)
        page = words(operator.get(url("substation", fresh_shop.public_id)))
        with in_main():
            proof = ErasureRecord.objects.get(substation_id=fresh_shop.pk)
        assert proof.state == "DONE"
        for text in (
            proof.digest,
            "Asked for",
            fresh_shop.schema_name,
            "orders_order",
            proof.tables["orders_order"]["sha256"],
        ):
            assert text in page
        assert fresh_shop.owner_email not in page
        for name in ("substations", "sync", "audit", "jobs"):
            assert operator.get(url(name)).status_code == 200
        assert Client(HTTP_HOST=fresh_shop.host).get("/").status_code == 410
