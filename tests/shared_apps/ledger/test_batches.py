"""Many transfers in one statement: the rules of one, all or none."""

from __future__ import annotations

from typing import Any

import pytest

from kameng.db.context import in_main
from shared_apps.ledger import services
from shared_apps.ledger.types import Leg, Posted, Request
from tests.shared_apps.ledger.cast import NOON, account, balance, counts, fresh, post

pytestmark = pytest.mark.usefixtures("prepared")


def request(*legs: tuple[str, int], key: str = "", **extra: Any) -> Request:
    return Request(
        key=key or fresh("key"), kind="adjustment", legs=tuple(Leg(*leg) for leg in legs), event_at=NOON, **extra
    )


def post_many(*requests: Request) -> tuple[Posted, ...]:
    with in_main():
        return services.post_many(requests=requests, currency="CNY")


class TestPostMany:
    def test_posts_each_and_answers_in_their_order(self) -> None:
        cash, shop, other = account("ASSET"), account(), account()
        keys = [fresh("key") for _ in range(3)]

        posted = post_many(
            request((cash, 10), (shop, -10), key=keys[2]),
            request((cash, 7), (shop, -3), (other, -4), key=keys[0]),
            request((shop, 1), (cash, -1), key=keys[1], reference_type="order", reference='O"1\\', memo={"a": '"}'}),
        )

        assert [one.created for one in posted] == [True, True, True]
        assert (balance(cash), balance(shop), balance(other)) == (16, 12, 4)
        # The same keys one by one: the same transfers.
        assert post((cash, 10), (shop, -10), key=keys[2]) == Posted(posted[0].id, posted[0].public_id, False)
        assert post((cash, 7), (shop, -3), (other, -4), key=keys[0]) == Posted(posted[1].id, posted[1].public_id, False)

    def test_answers_what_was_posted_before_and_posts_the_rest(self) -> None:
        cash, shop = account("ASSET"), account()
        first = post_many(request((cash, 10), (shop, -10), key="batch:" + cash))

        again = post_many(
            request((cash, 1), (shop, -1)), request((cash, 10), (shop, -10), key="batch:" + cash)
        )  # fmt: skip

        assert [one.created for one in again] == [True, False]
        assert again[1].id == first[0].id
        assert balance(cash) == 11

    def test_posts_nothing_of_nothing(self) -> None:
        before = counts()

        assert post_many() == ()
        assert counts() == before

    @pytest.mark.parametrize(
        ("amounts", "refusal"),
        [((5, -4), services.Unbalanced), ((5,), services.Unbalanced), ((0, 0), services.Unbalanced)],
    )
    def test_refuses_all_for_one_that_does_not_balance(
        self, amounts: tuple[int, ...], refusal: type[Exception]
    ) -> None:
        codes = [account(), account()]
        before = counts()

        with pytest.raises(refusal):
            post_many(
                request((codes[0], 3), (codes[1], -3)), request(*zip(codes, amounts, strict=False))
            )  # fmt: skip

        assert counts() == before

    def test_refuses_a_key_that_stands_twice(self) -> None:
        cash, shop = account("ASSET"), account()
        before = counts()

        with pytest.raises(services.Unbalanced):
            post_many(request((cash, 3), (shop, -3), key="twice"), request((cash, 3), (shop, -3), key="twice"))

        assert counts() == before

    def test_refuses_a_key_that_was_used_for_something_else(self) -> None:
        cash, shop, key = account("ASSET"), account(), fresh("key")
        post((cash, 3), (shop, -3), key=key)
        before = counts()

        with pytest.raises(services.IdempotencyConflict):
            post_many(request((cash, 1), (shop, -1)), request((cash, 4), (shop, -4), key=key))

        assert counts() == before

    def test_refuses_an_unknown_account(self) -> None:
        cash = account("ASSET")
        before = counts()

        with pytest.raises(services.AccountRefused):
            post_many(request((cash, 3), ("test:nowhere", -3)))

        assert counts() == before

    def test_refuses_what_together_would_take_a_guarded_account_below_its_floor(self) -> None:
        cash, prepaid = account("ASSET"), account(floor=0)
        post((cash, 10), (prepaid, -10))

        with pytest.raises(services.InsufficientBalance):
            post_many(request((prepaid, 6), (cash, -6)), request((prepaid, 5), (cash, -5)))

        assert balance(prepaid) == 10
