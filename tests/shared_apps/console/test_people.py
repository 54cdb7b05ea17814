"""The main station's people: invited by mail, given a role, locked out; never the last operator."""

from __future__ import annotations

import re
from typing import Any

import pyotp
import pytest
from django.core import mail
from django.test import Client

from kameng.accounts import people
from kameng.accounts.models import AuditRecord, User
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib import clock
from tests.shared_apps.console.conftest import _client, csv_rows
from tests.shared_apps.console.test_access import url
from tests.tenant_apps.racing import Runner


@pytest.fixture
def newcomer(operator: Client) -> User:
    """Somebody who was invited as a viewer and has not come yet."""
    number = clock.utc_now().timestamp()
    email = f"new-{number}@console.example"
    assert operator.post(url("people"), {"email": email, "name": "Nora", "role": "VIEWER"}).status_code == 302
    with in_main():
        return User.objects.get(email=email)


def trail(action: str, target: str) -> list[dict[str, Any]]:
    with in_main():
        return list(AuditRecord.objects.filter(action=action, target=target).values_list("details", flat=True))


class TestInviting:
    def test_mails_a_link_that_sets_a_password_in_a_browser(self, operator: Client, newcomer: User) -> None:
        jobs.run_all_due()
        found = re.search(r"http://localhost\S*(/password/set/\S+)", mail.outbox[-1].body)
        assert found is not None
        guest = Client(HTTP_HOST="localhost", enforce_csrf_checks=True)
        page = guest.get(found[1])
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())
        assert token is not None

        # Under "no-referrer" a browser sends "Origin: null" with this form, and it is refused as forged.
        assert page.headers["Referrer-Policy"] == "same-origin"
        answer = guest.post(
            found[1], {"csrfmiddlewaretoken": token[1], "password": "correct horse battery"},
            HTTP_ORIGIN="http://localhost",
        )  # fmt: skip

        assert (answer.status_code, mail.outbox[-1].to) == (302, [newcomer.email])
        assert guest.get(url("overview")).status_code == 200
        assert trail("console.person.invited", newcomer.email) == [{"role": "VIEWER"}]

    @pytest.mark.parametrize(
        "data",
        [
            {"email": "no mail", "role": "VIEWER"}, {"email": "", "role": "VIEWER"},
            {"email": "x@console.example", "role": "OWNER"}, {"email": "operator@console.example", "role": "VIEWER"},
        ],
    )  # fmt: skip
    def test_refuses_and_keeps_what_was_typed(self, operator: Client, data: dict[str, str]) -> None:
        with in_main():
            before = User.objects.count(), AuditRecord.objects.count()

        response = operator.post(url("people"), {**data, "name": "Kept as typed"})

        assert response.status_code == 422
        assert b'value="Kept as typed"' in response.content
        with in_main():
            assert (User.objects.count(), AuditRecord.objects.count()) == before

    def test_mails_again_until_there_is_a_password(self, operator: Client, newcomer: User) -> None:
        assert operator.post(url("person_again", newcomer.pk)).status_code == 302
        with in_main():
            newcomer.set_password("a long enough password")
            newcomer.save()

        assert operator.post(url("person_again", newcomer.pk)).status_code == 422

        assert trail("console.person.invited", newcomer.email) == [{"again": True}, {"role": "VIEWER"}]


class TestRoles:
    def test_changes_one_and_says_so_in_the_trail(self, operator: Client, newcomer: User) -> None:
        assert operator.post(url("person_role", newcomer.pk), {"role": "OPERATOR"}).status_code == 302

        with in_main():
            newcomer.refresh_from_db()
        assert newcomer.role == "OPERATOR"
        assert trail("console.person.role", newcomer.email) == [{"before": "VIEWER", "role": "OPERATOR"}]

    @pytest.mark.parametrize("role", ["OWNER", "STAFF", "", "nonsense"])
    def test_refuses_a_role_that_is_none_of_the_main_stations(
        self, operator: Client, newcomer: User, role: str
    ) -> None:
        assert operator.post(url("person_role", newcomer.pk), {"role": role}).status_code == 422

        with in_main():
            newcomer.refresh_from_db()
        assert newcomer.role == "VIEWER"
        assert trail("console.person.role", newcomer.email) == []

    def test_keeps_the_last_operator_who_can_log_in(self, operator: Client, newcomer: User) -> None:
        with in_main():
            others = User.objects.filter(role="OPERATOR").exclude(email="operator@console.example")
            put_aside = list(others.values_list("pk", flat=True))
            others.update(is_active=False)
            last = User.objects.get(email="operator@console.example")
        operator.post(
            url("person_role", newcomer.pk), {"role": "OPERATOR"}
        )  # Invited, without a password: can't log in.

        for address, data in (
            (url("person_role", last.pk), {"role": "VIEWER"}), (url("person_active", last.pk), {"active": "0"}),
        ):  # fmt: skip
            assert operator.post(address, data).status_code == 409, address

        with in_main():
            last.refresh_from_db()
            User.objects.filter(pk__in=put_aside).update(is_active=True)
        assert (last.role, last.is_active) == ("OPERATOR", True)


class TestLockingOut:
    def test_ends_the_log_in_for_good_and_lets_in_by_another(self, operator: Client, newcomer: User) -> None:
        theirs = _client(newcomer)
        assert theirs.get(url("overview")).status_code == 200

        assert operator.post(url("person_active", newcomer.pk), {"active": "0"}).status_code == 302
        assert theirs.get(url("overview")).headers["Location"].startswith("/login/")

        assert operator.post(url("person_active", newcomer.pk), {"active": "1"}).status_code == 302
        assert _client(newcomer).get(url("overview")).status_code == 200
        assert (
            trail("console.person.deactivated", newcomer.email)
            == trail("console.person.activated", newcomer.email)
            == [{}]
        )

    def test_somebody_who_is_not_there_is_404(self, operator: Client) -> None:
        for name in ("person_role", "person_active", "person_again"):
            assert operator.post(url(name, 10**9), {"role": "VIEWER", "active": "0"}).status_code == 404


class TestTheList:
    def test_finds_by_name_and_role_and_exports_it(self, operator: Client, newcomer: User) -> None:
        operator.get(url("people"))  # What was said of the invitation is read.
        rows = csv_rows(operator.get(url("people"), {"q": newcomer.email, "role": "VIEWER", "export": "csv"}))

        assert rows[0] == ["Mail", "Person", "Role", "May log in", "Last log-in", "Since"]
        assert [row[:3] for row in rows[1:]] == [[newcomer.email, "Nora", "Read only"]]
        assert newcomer.email not in operator.get(url("people"), {"role": "OPERATOR"}).content.decode()


class TestTheCommandLine:
    def run(self, email: str, monkeypatch: pytest.MonkeyPatch) -> str:
        from click.testing import CliRunner

        from kameng.cli import operator as command

        monkeypatch.setattr(command, "setup_django", lambda: None)  # The test suite has set it up.
        result = CliRunner().invoke(command.operator, [email, "--name", "Chief"])
        assert result.exit_code == 0, result.output
        found = re.search(r"http://localhost\S*(/password/set/\S+)", result.output)
        assert found is not None
        return found[1]

    def test_makes_the_first_log_in_and_prints_its_link(
        self, prepared: None, stranger: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        email = f"chief-{clock.utc_now().timestamp()}@console.example"

        path = self.run(email, monkeypatch)

        assert stranger.post(path, {"password": "correct horse battery"}).status_code == 302
        assert stranger.get(url("people")).status_code == 200
        with in_main():
            user = User.objects.get(email=email)
        assert (user.name, user.role) == ("Chief", "OPERATOR")
        assert trail("console.person.invited", email) == [{"role": "OPERATOR"}]
        assert trail("accounts.password.set", email) == [{}]

    def test_lets_somebody_who_was_locked_out_in_again(
        self, operator: Client, newcomer: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        operator.post(url("person_active", newcomer.pk), {"active": "0"})

        self.run(newcomer.email, monkeypatch)

        with in_main():
            newcomer.refresh_from_db()
        assert (newcomer.is_active, newcomer.role) == (True, "OPERATOR")


def test_two_operators_who_demote_each_other_leave_one(prepared: None) -> None:
    """The second waits for the first's rows, and then finds itself the last."""
    with in_main():
        others = list(User.objects.filter(role="OPERATOR", is_active=True).values_list("pk", flat=True))
        User.objects.filter(pk__in=others).update(is_active=False)
        number = clock.utc_now().timestamp()
        ann, ben = (
            User.objects.create_user(f"{name}-{number}@console.example", "a long enough password", role="OPERATOR")
            for name in ("ann", "ben")
        )

    def demote(user: User) -> None:
        with in_main():
            people.set_role(user_id=user.pk, role="VIEWER", by=SYSTEM, now=clock.utc_now())

    try:
        with in_main():
            people.set_role(user_id=ben.pk, role="VIEWER", by=SYSTEM, now=clock.utc_now())
            second = Runner(lambda: demote(ann))
            second.wait_until_blocked()
        with pytest.raises(people.LastOfAll):
            second.result()
    finally:
        with in_main():
            left = list(User.objects.filter(pk__in=(ann.pk, ben.pk), role="OPERATOR"))
            User.objects.filter(pk__in=others).update(is_active=True)
    assert left == [ann]


def test_the_only_operator_who_lost_their_phone_comes_back_by_the_command_line(
    newcomer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from kameng.accounts import factors
    from kameng.accounts.models import Authenticator
    from kameng.cli import operator as command

    now, secret = clock.utc_now(), factors.new_secret()
    with in_main():
        code = pyotp.TOTP(secret).at(now)
        factors.set_up_app(user=newcomer, secret=secret, code=code, by=SYSTEM, now=now)
    monkeypatch.setattr(command, "setup_django", lambda: None)

    result = CliRunner().invoke(command.operator, [newcomer.email, "--lost-phone"])

    assert result.exit_code == 0, result.output
    with in_main():
        assert not Authenticator.objects.filter(user=newcomer).exists()
    assert trail("accounts.factor.reset", newcomer.email) == [{}]
