"""Sync, jobs, tokens, the trail and the search."""

from __future__ import annotations

import re
from typing import Any

from django.test import Client, override_settings

from kameng.accounts import tokens
from kameng.accounts.models import ApiToken, AuditRecord
from kameng.db.context import in_main
from kameng.jobs.models import Job
from kameng.lib import clock
from shared_apps.console.selectors import overview
from tenants.models import SyncState
from tests.shared_apps.console.conftest import Scene, _client, _with_own_role, csv_rows
from tests.shared_apps.console.test_access import url


class TestSync:
    def watermarks(self, shop: Any) -> set[int]:
        with in_main():
            rows = SyncState.objects.filter(substation=shop, feed__in=("LIBRARY", "STOCK"))
            return set(rows.values_list("watermark", flat=True))

    def test_compares_one_shop_whole_and_leaves_the_others(self, operator: Client, scene: Scene, alice: Any) -> None:
        from tenant_apps.listings import sync

        sync.ensure_states(alice.pk)
        sync.sync_substation(scene.shop)
        sync.sync_substation(alice)
        others = self.watermarks(alice)

        response = operator.post(url("sync_repeat"), {"substation": scene.shop.public_id, "deed": "full"})

        assert response.status_code == 302
        assert self.watermarks(scene.shop) == {0}
        assert self.watermarks(alice) == others
        with in_main():
            assert Job.objects.filter(kind="listings.sync_all", state="PENDING").count() == 1
            record = AuditRecord.objects.filter(action="tenants.sync.repeated").latest("pk")
        assert (record.target, record.details) == (scene.shop.public_id, {"full": True, "substations": 1})
        sync.sync_due(nudged=True)
        with in_main():
            feeds = {feed.feed: feed.state for feed in overview.feed_states(clock.utc_now(), scene.shop.pk)}
        assert (feeds["LIBRARY"], feeds["STOCK"]) == ("UP_TO_DATE", "UP_TO_DATE")

    def test_refuses_a_shop_that_is_not_there(self, operator: Client) -> None:
        with in_main():
            before = AuditRecord.objects.count()

        assert operator.post(url("sync_repeat"), {"substation": "sub_NONE", "deed": "full"}).status_code == 404

        with in_main():
            assert AuditRecord.objects.count() == before

    def test_says_which_feed_failed_and_why(self, operator: Client, scene: Scene) -> None:
        with in_main():
            SyncState.objects.filter(substation=scene.shop, feed="STOCK").update(error="LockTimeout: busy")

        content = operator.get(url("sync"), {"q": scene.shop.slug, "state": "FAILED"}).content.decode()

        assert "LockTimeout: busy" in content
        with in_main():
            SyncState.objects.filter(substation=scene.shop, feed="STOCK").update(error="")


class TestJobs:
    def test_sets_a_job_that_gave_up_going_again(self, operator: Client, scene: Scene) -> None:
        with in_main():
            job = Job.objects.create(kind="stock.import_run", state="FAILED", attempts=12, run_at=clock.utc_now())

        assert operator.post(url("job_retry", job.pk)).status_code == 302
        assert operator.post(url("job_retry", job.pk)).status_code == 409

        with in_main():
            job.refresh_from_db()
            assert AuditRecord.objects.filter(target=f"stock.import_run #{job.pk}").count() == 1
        assert (job.state, job.attempts) == ("PENDING", 0)
        with in_main():
            job.delete()

    def test_filters_by_state(self, operator: Client, scene: Scene) -> None:
        content = operator.get(url("jobs"), {"state": "FAILED"}).content.decode()

        assert "listings.sync_all" in content
        assert "Try again" in content


class TestTokens:
    def test_shows_the_secret_once(self, operator: Client) -> None:
        form = {"name": "Once", "scopes": ["stock:read", "sync:read"], "expires": "2099-01-01"}

        response = operator.post(url("tokens"), form)

        content = response.content.decode()
        found = re.search(r"kmg_[\w-]{40,}", content)
        assert found is not None
        assert response.headers["Cache-Control"] == "no-store"
        with in_main():
            token = tokens.find(found[0])
        assert token is not None
        assert (token.name, token.scopes) == ("Once", ["stock:read", "sync:read"])
        assert found[0] not in operator.get(url("tokens")).content.decode()

    def test_makes_none_without_a_scope_and_keeps_the_name(self, operator: Client) -> None:
        with in_main():
            before = ApiToken.objects.count()

        response = operator.post(url("tokens"), {"name": "Nothing allowed"})

        assert response.status_code == 422
        assert b'value="Nothing allowed"' in response.content
        with in_main():
            assert ApiToken.objects.count() == before

    def test_revokes(self, operator: Client, scene: Scene) -> None:
        assert operator.post(url("token_revoke", scene.token)).status_code == 302

        with in_main():
            assert ApiToken.objects.get(pk=scene.token).revoked_at is not None
        assert operator.post(url("token_revoke", 10**9)).status_code == 404


class TestTheTrail:
    def test_finds_by_object_and_exports_it(self, operator: Client, scene: Scene) -> None:
        rows = csv_rows(operator.get(url("audit"), {"q": scene.batch, "export": "csv"}))

        assert rows[0] == ["At", "Who", "Kind", "Deed", "Object", "Details", "Address (IP)", "Request"]
        assert [row[1:5] for row in rows[1:]] == [["Mia", "Person", "Imported codes", scene.batch]]

    def test_each_deed_leads_to_its_object(self, operator: Client, scene: Scene) -> None:
        content = operator.get(url("audit"), {"q": scene.batch}).content.decode()

        assert f'href="{url("batch", scene.batch)}"' in content


class TestTheSearch:
    def test_an_id_leads_straight_there(self, operator: Client, scene: Scene) -> None:
        for text, there in (
            (scene.transfer, url("transfer", scene.transfer)), (scene.case, url("case", scene.case)),
            (scene.shop.public_id, url("substation", scene.shop.public_id)), (scene.batch, url("batch", scene.batch)),
        ):  # fmt: skip
            response = operator.get(url("search"), {"q": text})
            assert (response.status_code, response.headers["Location"]) == (302, there)

    def test_finds_orders_shops_products_and_accounts(self, operator: Client, scene: Scene) -> None:
        for text, shown in (
            (scene.order.lower(), scene.order), (scene.shop.slug, scene.shop.name), (scene.goods.code, scene.goods.code),
            ("main:rev", "main:revenue"),
        ):  # fmt: skip
            assert shown in operator.get(url("search"), {"q": text}).content.decode(), text

    def test_finds_only_what_the_reader_may_open(self, operator: Client, scene: Scene) -> None:
        clerk = _client(_with_own_role("library.look"))
        words = (scene.order, scene.case, scene.shop.slug, scene.goods.code, scene.batch, "operator", "a")
        whole, part = set[str](), set[str]()
        for word in words:
            for browser, found in ((operator, whole), (clerk, part)):
                context = browser.get(url("search"), {"q": word}).context
                found |= {group["label"] for group in context["groups"]} if context else set()

        assert {"Substations", "People", "SKUs", "Ledger accounts"} <= whole
        assert part <= {"Products", "SKUs", "Brands"}

    def test_takes_whatever_is_typed(self, operator: Client, scene: Scene) -> None:
        assert operator.get(url("search"), {"q": "a\x00b"}).status_code == 200

    def test_the_latest_deeds_are_for_whoever_may_read_the_trail(self, operator: Client, scene: Scene) -> None:
        clerk = _client(_with_own_role("library.look"))

        pages = [browser.get(url("overview")) for browser in (operator, clerk)]

        assert [bool(page.context["changes"]) for page in pages] == [True, False]
        assert ["What changed" in page.content.decode() for page in pages] == [True, False]

    def test_says_so_when_nothing_is_found(self, operator: Client, scene: Scene) -> None:
        assert b"Nothing found" in operator.get(url("search"), {"q": "zzzznothing"}).content
        assert b"What are you looking for?" in operator.get(url("search")).content


class TestWords:
    def test_every_job_and_every_recorded_deed_has_words(self) -> None:
        """What the code can do is what the pages can say: read from the registry and from the sources."""
        from pathlib import Path

        from kameng.jobs import registry
        from shared_apps.console import words

        root = Path(__file__).parents[3]
        recorded = {
            found
            for folder in ("shared_apps", "tenants", "src/kameng/accounts")
            for path in (root / folder).rglob("*.py")
            for found in re.findall(r'action="([a-z_]+(?:\.[a-z_]+)+)"', path.read_text(encoding="utf-8"))
        }

        assert set(registry.kinds()) - set(words.JOBS) == set()
        assert recorded - set(words.ACTIONS) == set()

    def test_a_job_says_what_it_does_whose_it_is_and_what_it_is_about(self, operator: Client, scene: Scene) -> None:
        with in_main():
            Job.objects.create(
                kind="orders.notify_queue", schema_name=scene.shop.schema_name, state="DONE", run_at=clock.utc_now(),
                payload={"order_number": scene.order},
            )  # fmt: skip

        for query in ("waits for its hands", "orders.notify_queue", scene.shop.schema_name):
            content = operator.get(url("jobs"), {"q": query, "state": "DONE"}).content.decode()
            assert "Tell the shop what waits for its hands" in content, query
            assert url("order", scene.shop.slug, scene.order) in content, query
            assert url("substation", scene.shop.public_id) in content, query


class TestAViewer:
    def test_finds_no_deed_on_any_page(self, viewer: Client, scene: Scene) -> None:
        """Forms are closed, and nothing posts but the language and the log-out."""
        from tests.shared_apps.console.test_access import LISTS, details

        allowed = {"/language/", "/logout/"}
        for name, address in {**{name: url(name) for name in LISTS}, **details(scene)}.items():
            content = viewer.get(address).content.decode()
            posts = set(re.findall(r'<form[^>]*action="([^"]+)"[^>]*method="post"', content))
            posts |= set(re.findall(r'<form[^>]*method="post"[^>]*action="([^"]+)"', content))
            assert {post for post in posts if post not in allowed and "/i18n/" not in post} == set(), name
            main = content.partition('<main id="main"')[2].partition("</main>")[0]
            own = re.findall(r'<form[^>]*method="post".*?</form>', main, re.DOTALL)
            for form in own:
                open_fields = re.findall(r"<(?:input|select|textarea)(?![^>]*(?:disabled|hidden))[^>]*>", form)
                assert open_fields == [], name


class TestTheMailbox:
    def test_pages_and_searches_what_would_have_gone_out(self, stranger: Client, tmp_path: Any) -> None:
        from django.core.mail import EmailMessage

        from kameng.web.mailbox import MailboxBackend

        with override_settings(MAILBOX_DIR=str(tmp_path)):
            backend = MailboxBackend()
            for number in range(30):
                backend.send_messages(
                    [
                        EmailMessage(
                            f"Letter no. {number:02}",
                            f"http://x.example/{number:02}/",
                            to=[f"n{number:02}@mail.example"],
                        )
                    ]
                )

            first = stranger.get("/mailbox/").content.decode()
            second = stranger.get("/mailbox/", {"page": "2"}).content.decode()
            found = stranger.get("/mailbox/", {"q": "n07@MAIL letter"}).content.decode()
            none = stranger.get("/mailbox/", {"q": "nobody"}).content.decode()

        assert [f"no. {number:02}" in first for number in (29, 5, 4)] == [True, True, False]
        assert [f"no. {number:02}" in second for number in (5, 4, 0)] == [False, True, True]
        assert re.findall(r"Letter no\. (\d+)", found) == ["07"]
        assert 'href="http://x.example/07/"' in found
        assert "Nothing matches" in none
