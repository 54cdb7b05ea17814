"""Who is logged in where, the end of each, and what was tried at a log-in."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client

from kameng.accounts import recovery
from kameng.accounts.models import StaffSession, User
from kameng.db.context import in_substation, pointed_at
from kameng.jobs import services as jobs
from tests.tenant_apps.panel.conftest import make_office, office  # noqa: F401  # Fixtures.
from tests.tenant_apps.panel.office import PASSWORD, Office

ANOTHER = "another long password 7"
pytestmark = pytest.mark.unproved


class TestSessions:
    def log_in(self, office: Office, browser: Client, agent: str) -> Any:
        email = office.read(User, pk=office.users["STAFF"]).email
        return browser.post("/login/", {"email": email, "password": PASSWORD}, headers={"User-Agent": agent})

    FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Safari/604.1"

    def test_are_listed_with_their_device_and_one_is_ended(self, office: Office) -> None:
        desk, phone = office.browser(), office.browser()
        self.log_in(office, desk, self.FIREFOX)
        self.log_in(office, phone, self.IPHONE)

        listed = desk.get("/panel/account/").context["devices"]
        other = next(one["row"].pk for one in listed if not one["here"])
        desk.post(f"/security/sessions/{other}/end/")

        assert [(one["device"], one["here"]) for one in listed] == [
            ("Safari on iPhone", False),
            ("Firefox on Linux", True),
        ]
        assert phone.get("/panel/").status_code == 302
        assert desk.get("/panel/").status_code == 200
        assert [one["here"] for one in desk.get("/panel/account/").context["devices"]] == [True]

    def test_one_that_was_ended_stays_so_when_the_cache_forgets(self, office: Office) -> None:
        desk, phone = office.browser(), office.browser()
        self.log_in(office, desk, self.FIREFOX)
        self.log_in(office, phone, self.IPHONE)
        with in_substation(office.shop):
            row = StaffSession.objects.order_by("-pk").first()
            assert row is not None
        desk.post(f"/security/sessions/{row.pk}/end/")

        with pointed_at(office.shop):
            cache.delete(f"accounts:session:{row.pk}")

        assert phone.get("/panel/").status_code == 302

    def test_of_other_browsers_leave_the_list_when_the_password_is_changed(self, office: Office) -> None:
        browsers = [office.browser() for _ in range(3)]
        for browser in browsers:
            self.log_in(office, browser, self.FIREFOX)

        browsers[0].post("/password/", {"present": PASSWORD, "password": ANOTHER})

        assert [browser.get("/panel/").status_code for browser in browsers] == [200, 302, 302]
        assert [one["here"] for one in browsers[0].get("/panel/account/").context["devices"]] == [True]
        assert self.standing(office) == 1
        assert office.acts()[-2:] == ["accounts.password.changed", "accounts.sessions.ended"]

    def test_leave_the_list_when_a_mailed_link_sets_the_password(self, office: Office) -> None:
        before, fresh = [office.browser() for _ in range(3)], office.browser()
        for browser in before:
            self.log_in(office, browser, self.FIREFOX)
        with in_substation(office.shop):
            path = recovery.link_path(User.objects.get(pk=office.users["STAFF"]))

        assert fresh.post(path, {"password": ANOTHER}).status_code == 302

        assert [browser.get("/panel/").status_code for browser in (*before, fresh)] == [302, 302, 302, 200]
        assert [one["here"] for one in fresh.get("/panel/account/").context["devices"]] == [True]
        assert self.standing(office) == 1

    def test_stay_where_a_password_is_refused(self, office: Office) -> None:
        here, there = office.browser(), office.browser()
        for browser in (here, there):
            self.log_in(office, browser, self.FIREFOX)

        for typed in ({"present": "guessed", "password": ANOTHER}, {"present": PASSWORD, "password": "short"}):
            assert here.post("/password/", typed).status_code == 422

        assert [browser.get("/panel/").status_code for browser in (here, there)] == [200, 200]
        assert self.standing(office) == 2

    def standing(self, office: Office) -> int:
        """How many sessions of the staff's have not ended, by their rows."""
        with in_substation(office.shop):
            return StaffSession.objects.filter(user_id=office.users["STAFF"], ended_at__isnull=True).count()

    def test_of_somebody_else_are_not_ended(self, office: Office) -> None:
        theirs = office.browser()
        self.log_in(office, theirs, self.FIREFOX)
        with in_substation(office.shop):
            pk = StaffSession.objects.get(user_id=office.users["STAFF"]).pk

        assert office.owner.post(f"/security/sessions/{pk}/end/").status_code == 404
        assert theirs.get("/panel/").status_code == 200

    def test_a_new_device_is_told_by_mail_and_the_first_is_not(self, office: Office, no_jobs: None) -> None:
        with in_substation(office.shop):
            User.objects.update(language="en")
        mail.outbox = []
        desk = office.browser()

        for browser, agent in ((desk, self.FIREFOX), (desk, self.FIREFOX), (office.browser(), self.IPHONE)):
            self.log_in(office, browser, agent)
            browser.post("/logout/")
            jobs.run_all_due()

        assert [one.to for one in mail.outbox] == [["staff@example.com"]]
        assert "Device: Safari on iPhone" in str(mail.outbox[0].body)

    def test_the_history_shows_what_was_tried(self, office: Office) -> None:
        browser = office.browser()
        browser.post(
            "/login/", {"email": "staff@example.com", "password": "guessed"}, headers={"User-Agent": self.IPHONE}
        )
        self.log_in(office, browser, self.FIREFOX)

        shown = browser.get("/panel/account/").context["history"]

        assert [(str(one["words"]), one["device"]) for one in shown] == [
            ("Logged in", "Firefox on Linux"), ("A wrong password", "Safari on iPhone"),
        ]  # fmt: skip

    def test_the_pause_after_five_wrong_passwords_stands_in_it_once(self, office: Office) -> None:
        browser = office.browser()
        for _n in range(8):
            browser.post("/login/", {"email": "staff@example.com", "password": "guessed"})

        acts = [action for action in office.acts() if action.startswith("accounts.log_in")]

        assert acts.count("accounts.log_in.locked") == 1
        assert acts.count("accounts.log_in.failed") <= 5

    def test_a_wrong_password_for_nobody_is_not_kept(self, office: Office) -> None:
        before = office.counts()

        office.browser().post("/login/", {"email": "nobody@example.com", "password": "guessed"})

        assert office.counts() == before
        assert "accounts.log_in.failed" not in office.acts()
