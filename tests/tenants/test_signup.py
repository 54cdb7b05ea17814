"""Signup: from the form to a live shop, and everything that can go wrong on the way."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from kameng.db.context import in_main, in_substation
from kameng.jobs import services as jobs
from kameng.lib import clock
from kameng.lib.errors import Invalid, Missing, TooMany
from tenants import provisioning, signup
from tenants.addresses import AddressTaken
from tenants.models import Signup, SignupStep, SpareSchema, Substation
from tenants.states import SignupState, SubstationState
from tests.tenants.signing_up import PASSWORD, apply, begin, counts, mailed_code, unused_slug, verified

pytestmark = pytest.mark.usefixtures("outbox")


class TestBegin:
    def test_mails_a_code_and_stores_no_password_and_no_code(self) -> None:
        started = begin()

        assert mail.outbox[-1].to == ["nina@example.com"]
        assert re.fullmatch(r"\d{6}", mailed_code())
        assert started.signup.state == SignupState.VERIFYING
        assert PASSWORD not in started.signup.password
        assert mailed_code().encode() not in bytes(started.signup.code_digest)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"name": "x"}, "name"),
            ({"name": "x" * 41}, "name"),
            ({"slug": "www"}, "slug"),
            ({"slug": "ab"}, "slug"),
            ({"slug": "a" * 31}, "slug"),
            ({"slug": "раypal"}, "slug"),
            ({"slug": "xn--80ak6aa92e"}, "slug"),
            ({"slug": "a.b/../c"}, "slug"),
            ({"slug": "'; drop schema public"}, "slug"),
            ({"email": "nobody"}, "email"),
            ({"email": f"{'n' * 60}@{'.'.join(['x' * 60] * 4)}.com"}, "email"),
            ({"password": "1234567890"}, "password"),
            ({"password": "short"}, "password"),
            ({"plan_code": "gold"}, "plan"),
        ],
    )
    def test_refuses_what_is_wrong_and_names_the_field(self, changes: dict[str, str], field: str) -> None:
        before = counts()

        with pytest.raises(Invalid) as refused:
            begin(**changes)

        assert refused.value.field == field
        assert counts() == before
        assert mail.outbox == []

    def test_refuses_an_address_that_a_shop_has(self, alice: Any) -> None:
        before = counts()

        with pytest.raises(AddressTaken):
            begin(slug="alice")

        assert counts() == before


class TestVerify:
    def test_refuses_a_wrong_code_five_times_and_then_the_right_one(self) -> None:
        started = begin()
        right = mailed_code()
        wrong = "000000" if right != "000000" else "111111"

        for left in (4, 3, 2, 1, 0):
            with pytest.raises(signup.WrongCode) as refused:
                signup.verify(started.signup, wrong)
            assert refused.value.details == {"left": left}
        with pytest.raises(signup.CodeExpired):
            signup.verify(started.signup, right)

        with in_main():
            assert Signup.objects.get(pk=started.signup.pk).state == SignupState.VERIFYING

    def test_refuses_a_code_after_fifteen_minutes(self) -> None:
        started = begin()

        with pytest.raises(signup.CodeExpired):
            signup.verify(started.signup, mailed_code(), now=clock.utc_now() + timedelta(minutes=15))

    def test_a_new_code_ends_the_old_one(self) -> None:
        started = begin()
        old = mailed_code()
        signup.resend(started.signup)
        new = mailed_code()

        if old != new:
            with pytest.raises(signup.WrongCode):
                signup.verify(started.signup, old)
        assert signup.verify(started.signup, new).state == SignupState.VERIFIED

    def test_says_that_a_signup_of_yesterday_is_over(self) -> None:
        started = begin()
        code = mailed_code()
        signup.sweep(clock.utc_now() + timedelta(days=1, minutes=1))

        with pytest.raises(signup.SignupOver):
            signup.verify(started.signup, code)
        with pytest.raises(signup.SignupOver):
            signup.resend(started.signup)

        with in_main():
            assert Signup.objects.get(pk=started.signup.pk).state == SignupState.EXPIRED
        assert len(mail.outbox) == 1

    def test_sends_four_codes_and_no_more(self) -> None:
        started = begin()
        for _ in range(3):
            signup.resend(started.signup)

        with pytest.raises(TooMany):
            signup.resend(started.signup)

        assert len(mail.outbox) == 4

    def test_two_signups_for_one_address_let_one_through(self) -> None:
        slug = unused_slug()
        first, second = begin(slug=slug), None
        code_first = mailed_code()
        second = begin(slug=slug)
        code_second = mailed_code()

        signup.verify(first.signup, code_first)
        with pytest.raises(AddressTaken):
            signup.verify(second.signup, code_second)

        with in_main():
            assert Signup.objects.filter(slug=slug, state=SignupState.VERIFIED).count() == 1

    def test_verifying_twice_changes_nothing(self) -> None:
        started = begin()
        code = mailed_code()
        signup.verify(started.signup, code)

        assert signup.verify(started.signup, "whatever").state == SignupState.VERIFIED


class TestFind:
    def test_is_missing_without_its_token(self) -> None:
        started = begin()

        with pytest.raises(Missing):
            signup.find(started.signup.public_id, "guess")
        assert signup.find(started.signup.public_id, started.token).pk == started.signup.pk


class TestProvision:
    def test_makes_a_live_shop_with_its_owner(self) -> None:
        row = verified()

        substation = signup.provision(row.pk)

        assert substation is not None
        assert substation.state == SubstationState.ACTIVE
        with in_substation(substation):
            from kameng.accounts.models import User
            from tenant_apps.shop.models import ShopSettings

            owner = User.objects.get()
            assert (owner.email, owner.role, owner.check_password(PASSWORD)) == ("nina@example.com", "OWNER", True)
            assert ShopSettings.objects.get().name == "Night Market"
        with in_main():
            assert Signup.objects.get(pk=row.pk).state == SignupState.LIVE

    def test_again_changes_nothing(self) -> None:
        row = verified()
        first = signup.provision(row.pk)
        before = counts()

        again = signup.provision(row.pk)

        assert first is not None
        assert again is not None
        assert again.pk == first.pk
        assert counts() == before

    @pytest.mark.parametrize("position", range(len(provisioning.steps())))
    def test_killed_before_or_after_any_step_it_ends_live_on_the_next_try(
        self, position: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = verified()
        real = provisioning.steps()

        class Killed(BaseException):
            pass

        for when in ("before", "after"):

            def broken(substation: Any, signup: Any, now: Any, when: str = when) -> None:
                if when == "after":
                    real[position][1](substation, signup, now)
                raise Killed

            steps = [*real[:position], (real[position][0], broken), *real[position + 1 :]]
            monkeypatch.setattr(provisioning, "steps", lambda steps=steps: steps)
            with pytest.raises(Killed):
                signup.provision(row.pk)
        monkeypatch.setattr(provisioning, "steps", lambda: real)
        substation = signup.provision(row.pk)

        assert substation is not None
        assert substation.state == SubstationState.ACTIVE
        with in_main():
            assert Substation.objects.filter(slug=row.slug).count() == 1
            assert SpareSchema.objects.filter(substation=substation).count() == 1
        with in_substation(substation):
            from kameng.accounts.models import User

            assert User.objects.count() == 1

    def test_is_not_reachable_before_it_is_live(self, monkeypatch: pytest.MonkeyPatch) -> None:
        row = verified()
        real = provisioning.steps()
        monkeypatch.setattr(provisioning, "steps", lambda: real[:-1])
        with in_main():
            pass
        signup.provision(row.pk)

        response = Client().get("/login/", HTTP_HOST=f"{row.slug}.localhost")

        assert response.status_code == 404

    def test_takes_a_spare_when_one_is_ready_and_makes_a_schema_when_none_is(self) -> None:
        from tenants import spares

        script = spares.current_script()
        spare = spares.add_spare(script.version, script.sql)
        taken = signup.provision(verified().pk)
        with in_main():
            SpareSchema.objects.filter(state="READY").delete()
        made = signup.provision(verified().pk)

        assert taken is not None
        assert made is not None
        assert taken.schema_name <= spare.schema_name
        assert made.schema_name > spare.schema_name


class TestNotes:
    """What the page that watches is told of the steps."""

    def noted(self, row: Signup) -> list[str]:
        with in_main():
            return list(SignupStep.objects.filter(signup=row).values_list("state", flat=True))

    def run_with(self, row: Signup, monkeypatch: pytest.MonkeyPatch, step: Any, at: int) -> Substation | None:
        """Make the shop with another step in the place of the one at `at`."""
        real = provisioning.steps()
        with monkeypatch.context() as patch:
            patch.setattr(provisioning, "steps", lambda: [*real[:at], (real[at][0], step), *real[at + 1 :]])
            return signup.provision(row.pk)

    def test_show_each_step_done_before_the_next_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        row = verified()
        seen: list[list[str]] = []
        real = provisioning.steps()

        def looking(step: Any) -> Any:
            def look(*arguments: Any) -> None:
                seen.append(self.noted(row))
                step(*arguments)

            return look

        monkeypatch.setattr(provisioning, "steps", lambda: [(name, looking(step)) for name, step in real])
        signup.provision(row.pk)

        assert seen == [[*["DONE"] * at, "RUNNING"] for at in range(len(real))]
        assert self.noted(row) == ["DONE"] * len(real)

    def test_cost_a_statement_a_step(self) -> None:
        row = verified()

        with CaptureQueriesContext(connection) as sent:
            signup.provision(row.pk)

        notes = [query["sql"] for query in sent.captured_queries if "tenants_signupstep" in query["sql"]]
        assert len(notes) == len(provisioning.steps()) + 1

    def test_say_which_step_failed_until_it_is_done_after_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        row = verified()

        def broken(*_: Any) -> None:
            raise RuntimeError("The disk is full.")

        with pytest.raises(RuntimeError):
            self.run_with(row, monkeypatch, broken, at=2)
        assert self.noted(row) == ["DONE", "DONE", "FAILED"]
        with in_main():
            failed = SignupStep.objects.get(signup=row, state="FAILED")
        assert failed.started_at is not None
        assert failed.finished_at is not None
        assert failed.started_at <= failed.finished_at

        signup.provision(row.pk)
        assert self.noted(row) == ["DONE"] * len(provisioning.steps())


class TestAskAgain:
    @pytest.mark.parametrize(
        ("waited_ms", "answer"), [(-50, 200), (0, 200), (399, 200), (1_000, 500), (3_998, 1_999), (60_000, 2_000)]
    )
    def test_comes_soon_at_first_and_more_rarely_then(self, waited_ms: int, answer: int) -> None:
        row = verified()

        assert signup.ask_again_ms(row, row.updated_at + timedelta(milliseconds=waited_ms)) == answer

    @pytest.mark.parametrize("state", ["VERIFYING", "PAYING", "LIVE", "FAILED", "EXPIRED"])
    def test_is_for_nothing_where_nothing_is_being_made(self, state: str) -> None:
        assert signup.ask_again_ms(Signup(state=state, updated_at=clock.utc_now()), clock.utc_now()) is None

    @pytest.mark.parametrize(
        ("state", "asks"), [("VERIFIED", True), ("PROVISIONING", True), ("LIVE", False), ("FAILED", False)]
    )
    def test_stands_in_the_fragment_of_the_page_that_watches(self, state: str, asks: bool) -> None:
        client, slug = Client(), unused_slug()
        verifying = apply(client, slug)["Location"]
        making = client.post(verifying, {"code": mailed_code()}, HTTP_HOST="localhost")["Location"]
        jobs.run_all_due()
        with in_main():
            Signup.objects.filter(slug=slug).update(state=state, updated_at=clock.utc_now())

        page = client.get(making, HTTP_HOST="localhost", HTTP_HX_REQUEST="true")

        assert page.status_code == 200
        assert ('hx-trigger="load delay:200ms, every 5s"' in page.content.decode()) is asks
