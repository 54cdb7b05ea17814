"""The second factor: set up, asked for, taken once, and nothing that was typed is lost by it."""

from __future__ import annotations

import itertools
import re
import threading
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from django.core import mail
from django.test import Client

from kameng.accounts import factors, step_up
from kameng.accounts.models import Authenticator, Passkey, RecoveryCode, User
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_substation
from kameng.jobs import services as jobs
from kameng.lib import clock
from tests.tenant_apps.panel.conftest import make_office, office  # noqa: F401  # Fixtures.
from tests.tenant_apps.panel.office import PASSWORD, Office
from tests.tenant_apps.racing import Runner, all_at_once

pytestmark = pytest.mark.unproved


@pytest.fixture
def order(office: Office) -> Any:
    """An order that was paid, with a code."""
    placed = office.place()
    office.pay(placed)
    return placed


def with_app(office: Office, role: str = "OWNER") -> pyotp.TOTP:
    """Give somebody an authenticator app; answers what is on their phone."""
    secret = factors.new_secret()
    totp = pyotp.TOTP(secret)
    with in_substation(office.shop):
        user = User.objects.get(pk=office.users[role])
        earlier = clock.utc_now() - timedelta(minutes=5)  # So that the present code is unused.
        factors.set_up_app(user=user, secret=secret, code=totp.at(earlier), by=SYSTEM, now=earlier)
    return totp


def in_english(office: Office) -> None:
    """Whoever has a language of their own is written to in it."""
    with in_substation(office.shop):
        User.objects.update(language="en")


def codes_of(office: Office, role: str = "OWNER") -> list[str]:
    with in_substation(office.shop):
        user = User.objects.get(pk=office.users[role])
        return factors.fresh_codes(user=user, by=SYSTEM, now=clock.utc_now())


def wrong(totp: pyotp.TOTP) -> str:
    """A code that is none of the last and next few minutes."""
    near = {totp.at(clock.utc_now() + timedelta(seconds=30 * n)) for n in range(-20, 21)}
    return next(f"{n:06d}" for n in range(100) if f"{n:06d}" not in near)


def hidden(body: str) -> dict[str, str]:
    """The hidden fields of the page's first form, as a browser would send them."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', body)
    return dict(reversed(found))  # The first of each name.


def reveal(browser: Client, number: str, **more: str) -> Any:
    return browser.post(f"/panel/orders/{number}/codes/", {"reveal-reason": "The buyer asks", **more})


def history(office: Office) -> list[str]:
    return [action for action in office.acts() if action.startswith("accounts.factor.")]


class TestBeforeADeed:
    def test_a_code_lets_the_deed_through_with_what_was_typed(self, office: Office, order: Any) -> None:
        totp, browser = with_app(office), office.owner

        asked = reveal(browser, order.number)
        again = browser.post(
            f"/panel/orders/{order.number}/codes/", {**hidden(asked.content.decode()), "step_up_code": totp.now()}
        )
        done = reveal(browser, order.number)

        assert asked.status_code == 403
        assert hidden(asked.content.decode())["reveal-reason"] == "The buyer asks"
        # The browser sends the same form to the same address again.
        assert (again.status_code, again["Location"]) == (307, f"/panel/orders/{order.number}/codes/")
        assert done.status_code == 200
        assert len(done.context["codes"]) == 1

    def test_nothing_is_done_before_it(self, office: Office, order: Any) -> None:
        with_app(office)
        before = office.counts()

        asked = reveal(office.owner, order.number)

        assert "codes" not in (asked.context or {})
        assert office.counts() == before

    def test_is_good_for_fifteen_minutes(self, office: Office, order: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        totp, browser = with_app(office), office.owner
        reveal(browser, order.number, step_up="code", step_up_code=totp.now())
        start = clock.utc_now()

        statuses = []
        for minutes in (14, 16):
            monkeypatch.setattr(clock, "utc_now", lambda minutes=minutes: start + timedelta(minutes=minutes))
            statuses.append(reveal(browser, order.number).status_code)

        assert statuses == [200, 403]

    def test_looking_asks_for_nothing(self, office: Office) -> None:
        assert office.owner.get("/panel/staff/").status_code == 200

    def test_one_browser_proves_nothing_for_another(self, office: Office, order: Any) -> None:
        totp = with_app(office)
        reveal(office.owner, order.number, step_up="code", step_up_code=totp.now())

        assert reveal(office.owner, order.number).status_code == 403

    def test_a_script_is_told_so_as_json(self, office: Office, order: Any) -> None:
        with_app(office)

        response = office.owner.post(
            f"/panel/orders/{order.number}/codes/", {"reveal-reason": "x"}, headers={"Accept": "application/json"}
        )

        assert response.status_code == 403
        assert response.json()["error"]["code"] == "step_up_required"


class TestSettingUpOnTheWay:
    def start(self, office: Office, order: Any) -> tuple[Client, Any, pyotp.TOTP]:
        browser = office.owner
        asked = reveal(browser, order.number)
        return browser, asked, pyotp.TOTP(str(asked.context["app_secret"]).replace(" ", ""))

    def test_somebody_without_one_sets_it_up_and_goes_on_from_there(self, office: Office, order: Any) -> None:
        browser, asked, totp = self.start(office, order)
        fields = {**hidden(asked.content.decode()), "step_up_code": totp.now(), "step_up_password": PASSWORD}

        kept = browser.post(f"/panel/orders/{order.number}/codes/", fields)
        done = browser.post(f"/panel/orders/{order.number}/codes/", hidden(kept.content.decode()))

        assert len(kept.context["codes"]) == 10
        assert hidden(kept.content.decode())["reveal-reason"] == "The buyer asks"
        assert len(done.context["codes"]) == 1
        assert history(office) == ["accounts.factor.app_set"]

    @pytest.mark.parametrize("what", ["code", "password"])
    def test_wants_the_code_and_the_password(self, office: Office, order: Any, what: str) -> None:
        """Who sits down at an open browser can't make themselves its second factor."""
        browser, _asked, totp = self.start(office, order)
        given = {"code": totp.now(), "password": PASSWORD} | {what: wrong(totp) if what == "code" else "guessed"}

        response = reveal(
            browser, order.number, step_up="app", **{f"step_up_{key}": value for key, value in given.items()}
        )

        assert response.status_code == 422
        with in_substation(office.shop):
            assert Authenticator.objects.count() == 0
        assert history(office) == ["accounts.factor.wrong"]

    def test_a_second_one_is_not_set_up_over_the_first(self, office: Office, order: Any) -> None:
        browser, _asked, totp = self.start(office, order)
        first = with_app(office)

        reveal(browser, order.number, step_up="app", step_up_code=totp.now(), step_up_password=PASSWORD)

        assert reveal(browser, order.number, step_up="code", step_up_code=totp.now()).status_code == 422
        assert reveal(browser, order.number, step_up="code", step_up_code=first.now()).status_code == 307

    def test_an_app_beside_a_passkey_wants_the_passkey_first(self, office: Office) -> None:
        """The password alone adds no factor to a log-in that has one."""
        with in_substation(office.shop):
            Passkey.objects.create(
                user_id=office.users["OWNER"], name="Key", host="x", credential_id=b"x", credential=b"x"
            )
        browser = office.owner

        looked = browser.get("/security/second-step/")
        tried = browser.post(
            "/security/second-step/", {"step_up": "app", "step_up_code": "000000", "step_up_password": PASSWORD}
        )

        assert (looked.status_code, tried.status_code) == (403, 403)
        assert "app_secret" not in (looked.context or {}) and "app_secret" not in (tried.context or {})
        with in_substation(office.shop):
            assert Authenticator.objects.count() == 0

    def test_the_secret_is_kept_sealed(self, office: Office) -> None:
        totp = with_app(office)

        with in_substation(office.shop):
            row = Authenticator.objects.get()

        assert totp.secret.encode() not in bytes(row.secret)
        with in_substation(office.shop):
            other = User.objects.get(pk=office.users["STAFF"])
            with pytest.raises(Exception, match="can't be opened"):  # Bound to its person.
                factors.open_pending(other, [row.key_version, bytes(row.secret).hex()])


class TestACode:
    def test_is_good_once(self, office: Office, order: Any) -> None:
        totp = with_app(office)
        code = totp.now()

        first = reveal(office.owner, order.number, step_up="code", step_up_code=code)
        second = reveal(office.owner, order.number, step_up="code", step_up_code=code)

        assert (first.status_code, second.status_code) == (307, 422)

    @pytest.mark.parametrize("kind", ["app", "recovery"])
    def test_of_two_requests_with_one_code_one_gets_through(self, office: Office, kind: str) -> None:
        """The second waits for the row and finds the code used."""
        totp = with_app(office)
        code = totp.now() if kind == "app" else codes_of(office)[0]
        now = clock.utc_now()

        def take() -> None:
            with in_substation(office.shop):
                user = User.objects.get(pk=office.users["OWNER"])
                factors.check_code(user=user, code=code, by=SYSTEM, now=now)

        with in_substation(office.shop):
            take()
            second = Runner(take)
            second.wait_until_blocked()
        with pytest.raises((factors.CodeUsed, factors.CodeWrong)):
            second.result()

    @pytest.mark.parametrize(("steps", "status"), [(-2, 422), (-1, 307), (0, 307), (1, 307), (2, 422)])
    def test_may_be_of_the_step_before_or_after(
        self, office: Office, order: Any, steps: int, status: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        totp, now = with_app(office), clock.utc_now()
        monkeypatch.setattr(clock, "utc_now", lambda: now)

        code = totp.at(now + timedelta(seconds=30 * steps))

        assert reveal(office.owner, order.number, step_up="code", step_up_code=code).status_code == status

    def test_five_wrong_ones_are_a_pause_for_right_ones_too(self, office: Office, order: Any) -> None:
        totp, browser = with_app(office), office.owner

        tries = [reveal(browser, order.number, step_up="code", step_up_code=wrong(totp)).status_code for _n in range(6)]
        right = reveal(browser, order.number, step_up="code", step_up_code=totp.now())

        assert tries == [422, 422, 422, 422, 422, 429]
        assert right.status_code == 429
        assert history(office)[1:] == ["accounts.factor.wrong"] * 4 + ["accounts.factor.paused"]

    def test_guesses_at_the_same_moment_are_counted_before_they_are_judged(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Eight at once: five are judged, and no judgement is over before all eight have asked."""
        totp, now = with_app(office), clock.utc_now()
        guess, asked, all_asked = wrong(totp), itertools.count(1), threading.Event()
        begin, judge = factors.begin_try, factors._take_app_code

        def begun(user: User) -> int:
            try:
                return begin(user)
            finally:
                if next(asked) == 8:
                    all_asked.set()

        def judged(*given: Any) -> bool:
            assert all_asked.wait(20)
            return judge(*given)

        monkeypatch.setattr(factors, "begin_try", begun)
        monkeypatch.setattr(factors, "_take_app_code", judged)

        def attempt() -> None:
            with in_substation(office.shop):
                user = User.objects.get(pk=office.users["OWNER"])
                factors.check_code(user=user, code=guess, by=SYSTEM, now=now)

        answers = [type(one) for one in all_at_once([attempt] * 8)]

        assert (answers.count(factors.CodeWrong), answers.count(factors.TooManyTries)) == (5, 3)

    def test_a_recovery_code_stands_in_once_and_is_told_by_mail(
        self, office: Office, order: Any, no_jobs: None
    ) -> None:
        with_app(office)
        code, *_others = codes_of(office)
        jobs.run_all_due()
        in_english(office)
        mail.outbox = []

        first = reveal(office.owner, order.number, step_up="code", step_up_code=code.lower())
        second = reveal(office.owner, order.number, step_up="code", step_up_code=code)
        jobs.run_all_due()

        assert (first.status_code, second.status_code) == (307, 422)
        assert ["One of your recovery codes was used" in str(one.body) for one in mail.outbox] == [True]
        with in_substation(office.shop):
            assert RecoveryCode.objects.filter(used_at__isnull=True).count() == 9
            assert not RecoveryCode.objects.filter(digest=code.encode()).exists()

    def test_of_somebody_else_is_none(self, office: Office, order: Any) -> None:
        with_app(office)
        theirs = with_app(office, "STAFF")

        assert reveal(office.owner, order.number, step_up="code", step_up_code=theirs.now()).status_code == 422


class TestAtLogIn:
    def log_in(self, office: Office, browser: Client, **headers: Any) -> Any:
        email = office.read(User, pk=office.users["OWNER"]).email
        return browser.post("/login/", {"email": email, "password": PASSWORD, "next": "/panel/orders/"}, **headers)

    def test_the_password_alone_lets_nobody_in_who_has_one(self, office: Office) -> None:
        with_app(office)
        browser = office.browser()

        half = self.log_in(office, browser)

        assert (half.status_code, half["Location"]) == (302, "/login/confirm/")
        assert browser.get("/panel/").status_code == 302

    def test_the_code_lets_in_and_leads_on(self, office: Office) -> None:
        totp, browser = with_app(office), office.browser()
        self.log_in(office, browser)

        done = browser.post("/login/confirm/", {"step_up": "code", "step_up_code": totp.now()})

        assert (done.status_code, done["Location"]) == (302, "/panel/orders/")
        assert browser.get("/panel/").status_code == 200
        assert office.acts()[-1] == "accounts.log_in"

    def test_the_second_step_waits_ten_minutes(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        totp, browser, now = with_app(office), office.browser(), clock.utc_now()
        self.log_in(office, browser)
        monkeypatch.setattr(clock, "utc_now", lambda: now + timedelta(minutes=11))

        late = browser.post("/login/confirm/", {"step_up": "code", "step_up_code": totp.at(clock.utc_now())})

        assert (late.status_code, late["Location"]) == (302, "/login/")
        assert browser.get("/panel/").status_code == 302

    def test_a_mailed_link_is_no_way_around_it(self, office: Office) -> None:
        from kameng.accounts import recovery

        with_app(office)
        with in_substation(office.shop):
            path = recovery.link_path(User.objects.get(pk=office.users["OWNER"]))
        browser = office.browser()

        response = browser.post(path, {"password": "a different horse, unlike the first"})

        assert response["Location"] == "/login/confirm/"
        assert browser.get("/panel/").status_code == 302

    def test_a_shop_that_wants_it_of_all_leads_everybody_to_it(self, office: Office) -> None:
        browser = office.staff
        totp = with_app(office)
        owner = office.owner
        owner.post("/panel/staff/second-step/", {"for_all": "1", "step_up": "code", "step_up_code": totp.now()})
        owner.post("/panel/staff/second-step/", {"for_all": "1"})

        led = browser.get("/panel/orders/")

        assert (led.status_code, led["Location"]) == (302, "/security/second-step/?next=%2Fpanel%2Forders%2F&needed=1")
        assert owner.get("/panel/orders/").status_code == 200
        assert browser.get("/security/second-step/").status_code == 200
        # The API, which takes a browser's log-in as well, is no way around it.
        assert browser.get("/api/v1/panel/orders/").status_code == 403
        assert owner.get("/api/v1/panel/orders/").status_code == 200


class TestTakingItOff:
    def test_another_who_manages_people_helps_who_lost_theirs(self, office: Office, no_jobs: None) -> None:
        totp = with_app(office)
        with_app(office, "STAFF")
        lost, browser = office.staff, office.owner
        browser.post("/panel/staff/second-step/", {"for_all": "0", "step_up": "code", "step_up_code": totp.now()})
        jobs.run_all_due()
        in_english(office)
        mail.outbox = []

        response = browser.post(f"/panel/staff/{office.users['STAFF']}/second-step/")
        jobs.run_all_due()

        assert response.status_code == 302
        assert lost.get("/panel/").status_code == 302
        with in_substation(office.shop):
            assert not Authenticator.objects.filter(user_id=office.users["STAFF"]).exists()
        assert history(office)[-1] == "accounts.factor.reset"
        assert [(one.to, "second step was taken off" in str(one.body)) for one in mail.outbox] == [
            (["staff@example.com"], True)
        ]

    def test_nobody_takes_their_own_off_that_way(self, office: Office) -> None:
        totp, browser = with_app(office), office.owner
        browser.post("/panel/staff/second-step/", {"for_all": "0", "step_up": "code", "step_up_code": totp.now()})

        assert browser.post(f"/panel/staff/{office.users['OWNER']}/second-step/").status_code == 409
        with in_substation(office.shop):
            assert Authenticator.objects.count() == 1

    def test_ones_own_wants_the_factor_first(self, office: Office) -> None:
        totp, browser = with_app(office), office.owner

        asked = browser.post("/security/app/remove/")
        browser.post("/security/app/remove/", {"step_up": "code", "step_up_code": totp.now()})
        gone = browser.post("/security/app/remove/")

        assert (asked.status_code, gone.status_code) == (403, 302)
        with in_substation(office.shop):
            assert (Authenticator.objects.count(), RecoveryCode.objects.count()) == (0, 0)

    def test_the_last_one_ends_what_other_browsers_had_by_it(self, office: Office) -> None:
        totp, here, elsewhere = with_app(office), office.owner, office.owner
        here.post("/security/app/remove/", {"step_up": "code", "step_up_code": totp.now()})
        here.post("/security/app/remove/")

        assert here.get("/panel/").status_code == 200
        assert elsewhere.get("/panel/").status_code == 302


def test_the_marker_is_of_one_person(office: Office) -> None:
    """A session that changes hands has proved nothing for the second person."""
    browser = office.owner
    session = browser.session
    session[step_up.PROVED] = {"at": clock.utc_now().timestamp(), "user": office.users["STAFF"]}
    session.save()

    assert browser.post("/panel/tokens/", {"name": "x", "scopes": ["orders:read"]}).status_code == 403
