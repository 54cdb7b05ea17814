"""Tokens: what ends them, what they may, and what guessing costs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from kameng.accounts import people
from kameng.accounts.models import ApiToken, User
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_substation
from kameng.lib import clock
from tests.api.conftest import (
    RATES,
    Api,
    Buy,
    a_token,
    a_user,
    host_of,
    program_at,
    stranger_at,
)


class TestTokens:
    @pytest.fixture
    def program(self, shop: Any) -> tuple[ApiToken, Api]:
        secret = a_token(["orders:read", "orders:write", "statement:read"], shop)
        with in_substation(shop):
            return ApiToken.objects.latest("pk"), program_at(host_of(shop), secret)

    def test_end_when_their_time_is_over(self, shop: Any, program: tuple[ApiToken, Api]) -> None:
        token, api = program
        assert api.get("panel/orders/").status == 200

        with in_substation(shop):
            ApiToken.objects.filter(pk=token.pk).update(expires_at=clock.utc_now())

        assert (api.get("panel/orders/").status, api.get("panel/orders/").error["code"]) == (
            401,
            "authentication_failed",
        )

    def test_end_with_their_persons_log_in(self, shop: Any, program: tuple[ApiToken, Api]) -> None:
        token, api = program

        with in_substation(shop):
            User.objects.filter(pk=token.user_id).update(is_active=False)

        assert api.get("panel/orders/").error["code"] == "authentication_failed"
        assert api.get("listings/").status == 401

    def test_rest_with_a_person_who_is_locked_out_and_are_theirs_again(
        self, shop: Any, program: tuple[ApiToken, Api]
    ) -> None:
        """A token is a line in the shop's list that others can end, and its program has nobody who logs in anew."""
        token, api = program
        a_user("OWNER", shop)  # One who can log in always stays.
        answers = []

        for active in (False, True):
            with in_substation(shop):
                people.set_active(user_id=token.user_id, active=active, by=SYSTEM, now=clock.utc_now())
            answers.append(api.get("panel/orders/").status)

        assert answers == [401, 200]

    def test_never_may_more_than_their_person(self, shop: Any, program: tuple[ApiToken, Api], buy: Buy) -> None:
        token, api = program
        number = buy(delivery="MANUAL").number
        assert api.get("panel/statement/").status == 200

        with in_substation(shop):
            User.objects.filter(pk=token.user_id).update(role="VIEWER")

        assert api.get("panel/orders/").status == 200
        assert api.get(f"panel/orders/{number}/").body["earned_minor"] is None
        for answer in (api.get("panel/statement/"), api.post(f"panel/orders/{number}/deliver/", {})):
            assert (answer.status, answer.error["code"]) == (403, "permission_denied")
            assert answer.error["message"] == "Your role does not allow this. Ask the owner for one that does."

    def test_are_told_which_scope_they_lack(self, shop: Any, program: tuple[ApiToken, Api]) -> None:
        _token, api = program

        answer = api.get("panel/listings/")

        assert (answer.status, answer.error["code"]) == (403, "permission_denied")
        assert answer.error["message"] == "This token lacks the scope listings:read. Make one that has it."

    def test_can_not_be_made_for_another_host(self, shop: Any) -> None:
        from kameng.accounts.tokens import MAIN_SCOPES, SHOP_SCOPES
        from kameng.lib.errors import Invalid

        for scopes, substation in ((MAIN_SCOPES, shop), (SHOP_SCOPES, None)):
            with pytest.raises(Invalid) as refused:
                a_token(scopes[:1], substation)
            assert refused.value.field == "scopes"

    def test_say_when_they_were_used_to_the_minute(self, shop: Any, program: tuple[ApiToken, Api]) -> None:
        token, api = program

        def used() -> Any:
            with in_substation(shop):
                return ApiToken.objects.get(pk=token.pk).used_at

        assert used() is None
        begin = clock.utc_now()
        api.get("panel/orders/")  # A read: its own transaction is READ ONLY.
        first = used()
        assert first is not None
        assert first >= begin
        api.get("panel/orders/")
        assert used() == first
        with in_substation(shop):
            ApiToken.objects.filter(pk=token.pk).update(used_at=begin - timedelta(minutes=2))
        api.get("panel/orders/")
        assert used() >= first

    @pytest.mark.parametrize(
        "sent",
        ["Bearer", "Bearer ", "Bearer a b", "Bearer kmg_é", "bearer kmg_" + "x" * 3000, "Bearer \x7f", "BEARER null"],
    )
    def test_that_are_none(self, visitor: Api, untouched: Callable[[], None], sent: str) -> None:
        untouched()

        answer = visitor.with_header("Authorization", sent).get("panel/orders/")

        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")

    def test_guessed_use_up_the_allowance_of_who_guesses(
        self, make_shop: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(RATES, {"anon": "3/min", "token": "100/min"})
        shop = make_shop()
        known = program_at(host_of(shop), a_token(["orders:read"], shop))
        guesser = stranger_at(host_of(shop))

        statuses = [
            guesser.with_header("Authorization", f"Bearer kmg_{n}").get("panel/orders/").status for n in range(5)
        ]

        assert statuses == [401, 401, 401, 429, 429]
        assert guesser.get("panel/orders/").status == 429  # Without a token, too.
        assert known.get("panel/orders/").status == 200  # The same address, and somebody who is known.


def test_a_person_who_is_logged_in_has_an_allowance_too(
    make_shop: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.api.conftest import person_at

    shop = make_shop()
    person = person_at(host_of(shop), a_user("OWNER", shop))
    monkeypatch.setattr(RATES, {"anon": "100/min", "token": "2/min"})

    assert [person.get("panel/orders/").status for _ in range(3)] == [200, 200, 429]
