"""Who holds a city: alone, for a time, whoever asks at once; ended, never removed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from kameng.accounts.models import AuditRecord
from kameng.accounts.types import SYSTEM, Actor, ActorKind
from kameng.db.context import in_main
from shared_apps.regions import selectors, services
from shared_apps.regions.errors import GrantInvalid, GrantMissing, GrantOver, RegionHeld, RegionMissing, RegionNotHeld
from shared_apps.regions.models import Lead, Region, RegionGrant
from tests.tenant_apps.racing import Runner, all_at_once

NOW = datetime(2031, 3, 1, 2, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
MIA = Actor(ActorKind.USER, "Mia", 1)


def give(code: str, shop: Any, *, start: datetime = NOW, end: datetime = NOW + YEAR, **more: Any) -> RegionGrant:
    with in_main():
        return services.make_grant(
            region_code=code, substation_id=shop.pk, starts_at=start, ends_at=end, by=MIA, now=NOW, **more
        )


def of(code: str) -> list[tuple[int, datetime, datetime]]:
    with in_main():
        rows = RegionGrant.objects.filter(region__code=code).order_by("pk")
        return [(row.substation_id, row.starts_at, row.ends_at) for row in rows]


def holder(code: str, at: datetime) -> int | None:
    with in_main():
        found = selectors.holder(Region.objects.get(code=code).pk, at)
        return found.substation_id if found else None


def trail(target: str) -> list[tuple[str, str, dict[str, Any]]]:
    with in_main():
        rows = AuditRecord.objects.filter(target=target).order_by("pk")
        return [(row.action, row.actor_label, row.details) for row in rows]


class TestGiving:
    def test_the_shop_holds_it_from_then_until_then(self, alice: Any, city: Callable[[], str]) -> None:
        code = city()

        made = give(code, alice, note="  first   agent ", answer_days=5)

        assert made.public_id.startswith("rgr_")
        assert (made.note, made.answer_days, made.granted_by) == ("first agent", 5, "Mia")
        assert holder(code, NOW) == alice.pk
        assert holder(code, NOW + YEAR - timedelta(microseconds=1)) == alice.pk
        assert holder(code, NOW + YEAR) is None
        assert holder(code, NOW - timedelta(microseconds=1)) is None
        assert trail(made.public_id) == [
            ("regions.grant.made", "Mia", {
                "region": code, "substation": alice.public_id, "starts_at": "2031-03-01T02:00:00+00:00",
                "ends_at": "2032-02-29T02:00:00+00:00",
            }),
        ]  # fmt: skip

    def test_the_next_one_begins_in_the_moment_in_which_it_ends(
        self, alice: Any, bob: Any, city: Callable[[], str]
    ) -> None:
        code = city()
        give(code, alice)

        give(code, bob, start=NOW + YEAR, end=NOW + 2 * YEAR)

        assert holder(code, NOW + YEAR) == bob.pk

    def test_one_shop_may_hold_several(self, alice: Any, city: Callable[[], str]) -> None:
        first, second = city(), city()

        give(first, alice), give(second, alice)

        assert holder(first, NOW) == holder(second, NOW) == alice.pk

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            (NOW, NOW + YEAR), (NOW + timedelta(days=1), NOW + timedelta(days=2)), (NOW - YEAR, NOW + timedelta(seconds=1)),
            (NOW + YEAR - timedelta(microseconds=1), NOW + 2 * YEAR), (NOW - YEAR, NOW + 2 * YEAR),
        ],
    )  # fmt: skip
    def test_nobody_else_can_hold_it_in_any_of_that_time(
        self, alice: Any, bob: Any, city: Callable[[], str], start: datetime, end: datetime
    ) -> None:
        code = city()
        made = give(code, alice)

        with pytest.raises(RegionHeld) as refused:
            give(code, bob, start=start, end=end)

        with in_main():
            label = selectors.region(code).label
        assert str(refused.value) == f"{label} is held by Alice from 2031-03-01 to 2032-02-29. Nothing was changed."
        assert refused.value.field == "region"
        assert refused.value.details == {
            "grant": made.public_id, "substation": alice.public_id, "starts_at": "2031-03-01T02:00:00+00:00",
            "ends_at": "2032-02-29T02:00:00+00:00",
        }  # fmt: skip
        assert of(code) == [(alice.pk, NOW, NOW + YEAR)]

    def test_the_holder_itself_can_t_hold_it_twice(self, alice: Any, city: Callable[[], str]) -> None:
        code = city()
        give(code, alice)

        with pytest.raises(RegionHeld):
            give(code, alice)

        assert len(of(code)) == 1

    @pytest.mark.parametrize(
        ("values", "field", "words"),
        [
            ({"start": NOW, "end": NOW}, "ends_at", "It has to end after it begins."),
            ({"start": NOW - YEAR, "end": NOW}, "ends_at", "That is over already. Choose a later end."),
            ({"end": NOW + 11 * YEAR}, "ends_at", "Ten years at most; it can be given anew."),
            ({"start": NOW + 11 * YEAR, "end": NOW + 12 * YEAR}, "starts_at", "It has to begin within ten years."),
            ({"answer_days": 0}, "answer_days", "Give the holder 1 to 30 days to answer."),
            ({"answer_days": 31}, "answer_days", "Give the holder 1 to 30 days to answer."),
        ],
    )  # fmt: skip
    def test_refuses_a_time_that_makes_no_sense(
        self, alice: Any, city: Callable[[], str], values: dict[str, Any], field: str, words: str
    ) -> None:
        code = city()

        with pytest.raises(GrantInvalid) as refused:
            give(code, alice, **values)

        assert (refused.value.field, str(refused.value)) == (field, words)
        assert of(code) == []

    @pytest.mark.parametrize("code", ["440000", "440305", "CN", "DE", "FR-IDF"])
    def test_refuses_what_can_t_be_held(self, alice: Any, code: str) -> None:
        with pytest.raises(RegionNotHeld, match="can't be held"):
            give(code, alice)

        assert of(code) == []

    def test_refuses_an_unknown_region_and_an_unknown_shop(self, alice: Any, city: Callable[[], str]) -> None:
        with pytest.raises(RegionMissing):
            give("123456", alice)
        code = city()
        with pytest.raises(GrantInvalid), in_main():
            services.make_grant(
                region_code=code, substation_id=0, starts_at=NOW, ends_at=NOW + YEAR, by=MIA, now=NOW
            )  # fmt: skip
        assert of(code) == []

    @pytest.mark.parametrize("state", ["APPLIED", "PROVISIONING", "CLOSING", "CLOSED", "ERASED"])
    def test_refuses_a_shop_that_is_not_made_or_on_its_way_out(
        self, fresh_shop: Any, city: Callable[[], str], state: str
    ) -> None:
        from tenants.models import Substation

        code = city()
        with in_main():
            Substation.objects.filter(pk=fresh_shop.pk).update(state=state)

        with pytest.raises(GrantInvalid, match="Only a shop that is made") as refused:
            give(code, fresh_shop)

        assert refused.value.field == "substation"
        assert of(code) == []


class TestTheConstraint:
    """The rule stands in the database, whoever writes."""

    def row(self, region: int, shop: Any, start: datetime, end: datetime) -> RegionGrant:
        return RegionGrant.objects.create(
            region_id=region, substation=shop, starts_at=start, ends_at=end, granted_by="x", created_at=NOW
        )

    def test_two_that_overlap_by_a_microsecond_are_refused_by_postgres(
        self, alice: Any, bob: Any, city: Callable[[], str]
    ) -> None:
        code = city()
        with in_main():
            region = Region.objects.get(code=code).pk
            self.row(region, alice, NOW, NOW + YEAR)
            with pytest.raises(IntegrityError, match="region_held_once"), transaction.atomic():
                self.row(region, bob, NOW + YEAR - timedelta(microseconds=1), NOW + 2 * YEAR)
            self.row(region, bob, NOW + YEAR, NOW + 2 * YEAR)

    def test_a_changed_time_is_judged_as_a_new_one_is(self, alice: Any, bob: Any, city: Callable[[], str]) -> None:
        code = city()
        give(code, alice)
        later = give(code, bob, start=NOW + YEAR, end=NOW + 2 * YEAR)

        with pytest.raises(IntegrityError, match="region_held_once"), in_main():
            RegionGrant.objects.filter(region__code=code).exclude(pk=later.pk).update(ends_at=NOW + 2 * YEAR)

    def test_no_grant_is_removed_or_given_another_shop(self, alice: Any, bob: Any, city: Callable[[], str]) -> None:
        made = give(city(), alice)

        for change in (lambda rows: rows.delete(), lambda rows: rows.update(substation=bob)):
            with pytest.raises(Exception, match="permission denied"), in_main():
                change(RegionGrant.objects.filter(pk=made.pk))

    def test_the_tree_is_the_migrations_own(self) -> None:
        with pytest.raises(Exception, match="permission denied"), in_main():
            Region.objects.filter(code="440300").update(holdable=False)


class TestAtOnce:
    def test_of_two_shops_that_ask_at_once_one_gets_it_and_the_other_is_told_who(
        self, alice: Any, bob: Any, city: Callable[[], str]
    ) -> None:
        for _ in range(5):
            code = city()

            answers = all_at_once([lambda: give(code, alice), lambda: give(code, bob)])  # noqa: B023

            won = [one for one in answers if isinstance(one, RegionGrant)]
            lost = [one for one in answers if isinstance(one, RegionHeld)]
            assert (len(won), len(lost)) == (1, 1), answers
            assert lost[0].details["grant"] == won[0].public_id
            assert len(of(code)) == 1

    def test_who_comes_second_waits_for_the_first_and_then_hears_of_it(
        self, alice: Any, bob: Any, city: Callable[[], str]
    ) -> None:
        code = city()
        with in_main():
            services.make_grant(
                region_code=code, substation_id=alice.pk, starts_at=NOW, ends_at=NOW + YEAR, by=MIA, now=NOW
            )  # fmt: skip
            second = Runner(lambda: give(code, bob))
            second.wait_until_blocked()

        with pytest.raises(RegionHeld, match="is held by Alice"):
            second.result()

    def test_who_comes_second_gets_it_when_the_first_gives_up(
        self, alice: Any, bob: Any, city: Callable[[], str]
    ) -> None:
        code = city()
        with in_main():
            services.make_grant(
                region_code=code, substation_id=alice.pk, starts_at=NOW, ends_at=NOW + YEAR, by=MIA, now=NOW
            )  # fmt: skip
            second = Runner(lambda: give(code, bob))
            second.wait_until_blocked()
            transaction.set_rollback(True)

        assert second.result().substation_id == bob.pk

    def test_a_shop_that_is_closed_at_once_ends_up_without_it(self, fresh_shop: Any, city: Callable[[], str]) -> None:
        from tenants import closing

        code = city()
        with in_main():
            closing.begin(public_id=fresh_shop.public_id, typed=fresh_shop.slug, reason="over", by=MIA, now=NOW)
            closing.close(public_id=fresh_shop.public_id, by=MIA, now=NOW)
            second = Runner(lambda: give(code, fresh_shop))
            second.wait_until_blocked()

        with pytest.raises(GrantInvalid):
            second.result()
        assert of(code) == []


class TestEnding:
    def test_it_ends_now_and_its_time_stays(self, alice: Any, bob: Any, city: Callable[[], str]) -> None:
        code = city()
        made = give(code, alice)
        later = NOW + timedelta(days=30)

        with in_main():
            services.end_grant(public_id=made.public_id, by=MIA, now=later)

        assert of(code) == [(alice.pk, NOW, later)]
        assert holder(code, later) is None
        assert holder(code, later - timedelta(microseconds=1)) == alice.pk
        assert trail(made.public_id)[1:] == [
            ("regions.grant.ended", "Mia", {
                "region": code, "substation": alice.public_id, "before": "2032-02-29T02:00:00+00:00",
            }),
        ]  # fmt: skip
        give(code, bob, start=later)
        assert holder(code, later) == bob.pk

    def test_one_that_has_not_begun_never_was(self, alice: Any, bob: Any, city: Callable[[], str]) -> None:
        code = city()
        made = give(code, alice, start=NOW + timedelta(days=10))

        with in_main():
            services.end_grant(public_id=made.public_id, by=MIA, now=NOW)

        give(code, bob)
        start = NOW + timedelta(days=10)
        assert of(code) == [(alice.pk, start, start), (bob.pk, NOW, NOW + YEAR)]

    def test_what_is_over_can_t_be_ended(self, alice: Any, city: Callable[[], str]) -> None:
        code = city()
        made = give(code, alice)
        with in_main():
            services.end_grant(public_id=made.public_id, by=MIA, now=NOW + timedelta(days=1))

        with pytest.raises(GrantOver), in_main():
            services.end_grant(public_id=made.public_id, by=SYSTEM, now=NOW + timedelta(days=2))
        with pytest.raises(GrantMissing), in_main():
            services.end_grant(public_id="rgr_none", by=SYSTEM, now=NOW)

        assert of(code) == [(alice.pk, NOW, NOW + timedelta(days=1))]
        assert len(trail(made.public_id)) == 2

    def test_two_who_end_it_at_once_end_it_once(self, alice: Any, city: Callable[[], str]) -> None:
        made = give(city(), alice)

        def end() -> None:
            with in_main():
                services.end_grant(public_id=made.public_id, by=MIA, now=NOW + timedelta(days=1))

        answers = all_at_once([end, end])

        assert sorted(type(one).__name__ for one in answers) == ["GrantOver", "NoneType"]
        assert [action for action, _by, _details in trail(made.public_id)] == [
            "regions.grant.made",
            "regions.grant.ended",
        ]

    def test_a_shop_that_is_closed_holds_nothing_any_more(self, fresh_shop: Any, city: Callable[[], str]) -> None:
        from kameng.lib import clock
        from tenants import closing

        now = clock.utc_now()
        held, promised, offered = city(), city(), None
        with in_main():
            for code, start in ((held, now), (promised, now + YEAR)):
                services.make_grant(
                    region_code=code, substation_id=fresh_shop.pk, starts_at=start, ends_at=start + YEAR, by=MIA, now=now
                )  # fmt: skip
            offered = services.ask(
                name="Lin", phone="13800000000", email="", region=held, message="", language="en", now=now
            )
            assert offered.state == "OFFERED"
            closing.begin(public_id=fresh_shop.public_id, typed=fresh_shop.slug, reason="over", by=MIA, now=now)
            closing.close(public_id=fresh_shop.public_id, by=MIA, now=now)

        assert [end - start for _shop, start, end in of(promised)] == [timedelta(0)]
        assert holder(held, clock.utc_now()) is None
        with in_main():
            assert Lead.objects.get(pk=offered.pk).state == "LAPSED"
