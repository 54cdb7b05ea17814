"""A shop over the API: challenge, application, mailed code, and the making of it to its address."""

from __future__ import annotations

import itertools
import os
import re
from typing import Any

import pytest
from django.core import mail

from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib import clock, pow
from shared_apps.billing import services
from tenants.models import Signup
from tests.api.conftest import RATES, Answer, Api, stranger_at
from tests.shared_apps.billing.stage import make_plan

_serial = itertools.count(1)
PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _mails(outbox: None) -> None:
    """Each test sees its own mails alone."""


def an_application(main: Api, **changes: Any) -> dict[str, Any]:
    challenge = main.get("signups/challenge/").body["challenge"]
    fields = {
        "name": "Night Market", "slug": f"api-signup-{next(_serial)}-{os.getpid()}", "plan": "basic",
        "email": "nina@example.com", "password": PASSWORD, "owner_name": "Nina", "challenge": challenge,
        "nonce": pow.solve(challenge),
    }  # fmt: skip
    return {**fields, **changes}


def begun(main: Api, **changes: Any) -> tuple[Answer, Api]:
    """A signup, and the program that holds its token."""
    answer = main.post("signups/", an_application(main, **changes))
    assert answer.status == 201, answer.body
    return answer, main.with_header("X-Signup-Token", answer.body["token"])


def mailed_code() -> str:
    found = re.search(r"\b(\d{6})\b", mail.outbox[-1].subject)
    assert found
    return found[1]


def signup_count() -> int:
    with in_main():
        return Signup.objects.count()


class TestPlans:
    def test_are_for_everybody(self, main: Api) -> None:
        answer = main.get("plans/")

        assert answer.status == 200
        assert [plan["code"] for plan in answer.body][:3] == ["basic", "pro", "flagship"]
        assert answer.body[0] | {"name_zh": "", "name_en": ""} == {
            "code": "basic", "name_zh": "", "name_en": "", "pitch_zh": "", "pitch_en": "", "opening_fee_minor": 0,
            "monthly_fee_minor": 0, "yearly_fee_minor": 0, "deposit_minor": 0, "trial_days": 0, "grace_days": 7,
            "max_listings": None, "max_staff": None, "max_own_products": None, "api_allowed": True,
            "own_domain_allowed": True, "platform_fee_bps": 200, "currency": "CNY",
        }  # fmt: skip


class TestPaidPlan:
    def test_waits_for_payment_and_is_made_when_it_comes(self, main: Api, channel: Any, account: Any) -> None:
        plan = make_plan(monthly_fee_minor=9_800, opening_fee_minor=20_000)
        answer, program = begun(main, plan=plan.code)
        path = f"signups/{answer.body['id']}/"
        assert answer.body["due_minor"] == 29_800
        waiting = program.post(f"{path}verify/", {"code": mailed_code()}).body
        assert (waiting["state"], waiting["due_minor"]) == ("PAYING", 29_800)

        page = program.post(f"{path}pay/", {"return_url": "https://robot.example/done"})
        assert (page.status, page.body["amount_minor"]) == (200, 29_800)
        again = program.post(f"{path}pay/", {"return_url": "https://robot.example/done"})
        assert again.body == page.body
        channel.pays(page.body["id"], 29_800, at=clock.utc_now())
        assert services.ask_about(page_public_id=page.body["id"], now=clock.utc_now()) == "PAID"
        jobs.run_all_due()

        done = program.get(path).body
        assert (done["state"], done["due_minor"]) == ("LIVE", 0)
        refused = program.post(f"{path}pay/", {"return_url": "https://robot.example/done"})
        assert (refused.status, refused.body["error"]["code"]) == (409, "nothing_to_pay")

    def test_a_page_leads_back_to_the_web_and_nowhere_else(self, main: Api) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        answer, program = begun(main, plan=plan.code)
        program.post(f"signups/{answer.body['id']}/verify/", {"code": mailed_code()})

        refused = program.post(f"signups/{answer.body['id']}/pay/", {"return_url": "javascript:alert(1)"})

        assert (refused.status, refused.body["error"]["field"]) == (422, "return_url")


class TestSignup:
    def test_goes_from_the_challenge_to_the_shops_address(self, main: Api) -> None:
        answer, program = begun(main)
        path = f"signups/{answer.body['id']}/"
        assert answer.body["state"] == "VERIFYING"
        assert answer.headers["Cache-Control"] == "no-store"

        verified = program.post(f"{path}verify/", {"code": mailed_code()})
        assert (verified.status, verified.body["state"]) == (200, "VERIFIED")
        assert {step["state"] for step in verified.body["steps"]} == {"PENDING"}
        assert (answer.body["ask_again_ms"], verified.body["ask_again_ms"]) == (None, 200)
        jobs.run_all_due()

        done = program.get(path).body
        assert (done["state"], done["ask_again_ms"]) == ("LIVE", None)
        assert [step["state"] for step in done["steps"]] == ["DONE"] * len(done["steps"])
        assert done["shop_url"].startswith(f"http://{answer.body['slug']}.localhost")
        assert done["panel_url"] == f"{done['shop_url']}panel/"
        assert stranger_at(f"{answer.body['slug']}.localhost").get("channels/").status == 200

    def test_is_polled_with_an_etag(self, main: Api) -> None:
        answer, program = begun(main)
        path = f"signups/{answer.body['id']}/"
        first = program.get(path)

        again = program.get(path, If_None_Match=first.headers["ETag"])
        assert (again.status, again.body) == (304, None)
        program.post(f"{path}verify/", {"code": mailed_code()})
        assert program.get(path, If_None_Match=first.headers["ETag"]).status == 200

    def test_never_says_its_token_again(self, main: Api) -> None:
        answer, program = begun(main)

        assert "token" not in program.get(f"signups/{answer.body['id']}/").body

    def test_counts_a_wrong_code_whatever_becomes_of_the_request(self, main: Api) -> None:
        answer, program = begun(main)
        path = f"signups/{answer.body['id']}/verify/"
        wrong = "000000" if mailed_code() != "000000" else "111111"

        left = [program.post(path, {"code": wrong}) for _ in range(6)]

        assert [one.status for one in left] == [409] * 6
        assert [one.error.get("details", {}).get("left") for one in left[:5]] == [4, 3, 2, 1, 0]
        assert left[5].error["code"] == "code_expired"
        assert program.post(path, {"code": mailed_code()}).error["code"] == "code_expired"

    def test_mails_another_code(self, main: Api) -> None:
        answer, program = begun(main)
        first = mailed_code()

        assert program.post(f"signups/{answer.body['id']}/resend/").status == 200

        assert len(mail.outbox) == 2
        if mailed_code() != first:
            wrong = program.post(f"signups/{answer.body['id']}/verify/", {"code": first})
            assert wrong.error["code"] == "wrong_code"

    def test_only_a_failed_making_is_tried_again(self, main: Api) -> None:
        answer, program = begun(main)

        refused = program.post(f"signups/{answer.body['id']}/retry/")

        assert (refused.status, refused.error["code"]) == (409, "refused")

    @pytest.mark.parametrize("deed", ["", "verify/", "resend/", "retry/"])
    def test_is_nobodys_without_the_token(self, main: Api, deed: str) -> None:
        answer, _program = begun(main)
        _other, stranger = begun(main)
        path = f"signups/{answer.body['id']}/{deed}"

        for api in (main, stranger):
            found = api.post(path, {"code": "123456"}) if deed else api.get(path)
            assert (found.status, found.error["code"]) == (404, "not_found")

    @pytest.mark.parametrize(
        ("changes", "status", "field"),
        [
            ({"name": "x"}, 422, "name"), ({"slug": "www"}, 422, "slug"), ({"slug": "раypal"}, 422, "slug"),
            ({"plan": "gold"}, 422, "plan"), ({"email": "nobody"}, 422, "email"), ({"password": "short"}, 422, "password"),
            ({"accent": "red"}, 422, "accent"), ({"preset": "x"}, 422, "preset"), ({"name": "a\x00b"}, 422, "name"),
            ({"email": "x" * 255}, 422, "email"), ({"password": None}, 422, "password"), ({"slug": 7}, 422, "slug"),
        ],
    )  # fmt: skip
    def test_refuses_what_can_not_be_used(self, main: Api, changes: dict[str, Any], status: int, field: str) -> None:
        before = signup_count()

        answer = main.post("signups/", an_application(main, **changes))

        assert (answer.status, answer.error["field"]) == (status, field)
        assert signup_count() == before
        assert mail.outbox == []

    def test_refuses_an_address_that_is_taken(self, main: Api, shop: Any) -> None:
        answer = main.post("signups/", an_application(main, slug=shop.slug))

        assert (answer.status, answer.error["code"], answer.error["field"]) == (409, "address_taken", "slug")


class TestProofOfWork:
    def test_is_good_for_one_signup(self, main: Api) -> None:
        application = an_application(main)
        assert main.post("signups/", application).status == 201

        again = main.post("signups/", {**application, "slug": application["slug"] + "b"})

        assert (again.status, again.error["code"]) == (422, "challenge_expired")

    def test_must_be_ours_and_done(self, main: Api) -> None:
        before = signup_count()
        foreign = pow.issue(b"another secret", "signup", clock.utc_now(), 4)

        forged = main.post("signups/", an_application(main, challenge=foreign, nonce=pow.solve(foreign)))
        undone = main.post("signups/", an_application(main, nonce="?"))

        assert (forged.error["code"], undone.error["code"]) == ("challenge_forged", "proof_insufficient")
        assert signup_count() == before


class TestLimits:
    def test_signups_have_an_allowance_of_their_own(self, main: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        from django.core.cache import cache

        cache.clear()
        rates = dict.fromkeys(("anon", "token", "signup_code"), "1000/min") | {"signup": "2/hour"}
        monkeypatch.setattr(RATES, rates)

        statuses = [main.post("signups/", {}).status for _ in range(3)]

        assert statuses == [422, 422, 429]
        assert main.get("plans/").status == 200

    def test_form_and_api_count_together(self, main: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        from django.core.cache import cache

        from tenants import admission

        cache.clear()
        monkeypatch.setattr(admission, "SIGNUPS_PER_HOUR", 1)
        admission.count_signup(ip="127.0.0.1")

        answer = main.post("signups/", an_application(main))

        assert (answer.status, answer.error["code"]) == (429, "too_many")
        assert answer.headers["Retry-After"] == "3600"
