"""Who opened a shop in a city, or asked about one: offered to its holder, answered in time, forgotten in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core import mail

from kameng.accounts.models import AuditRecord
from kameng.accounts.types import Actor, ActorKind
from kameng.db.context import in_main
from kameng.jobs.models import Job
from kameng.lib.errors import Invalid
from shared_apps.regions import selectors, services, tasks
from shared_apps.regions.errors import LeadMissing, LeadRefused, RegionUnclear
from shared_apps.regions.models import Lead
from shared_apps.regions.services import _leads
from shared_apps.regions.states import TRANSITIONS, LeadEvent, LeadState
from tenants.models import Substation
from tests.tenant_apps.racing import all_at_once

NOW = datetime(2031, 3, 1, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MIA = Actor(ActorKind.USER, "Mia", 1)
OWNER = Actor(ActorKind.USER, "Alice Wang", 1)


def give(code: str, shop: Any, *, days: int = 365, answer_days: int = 3, start: datetime = NOW) -> Any:
    with in_main():
        return services.make_grant(
            region_code=code, substation_id=shop.pk, starts_at=start, ends_at=start + days * DAY, by=MIA, now=NOW,
            answer_days=answer_days,
        )  # fmt: skip


def ask(code: str, now: datetime = NOW, **values: str) -> Lead:
    said = {
        "name": "Lin Hua",
        "phone": "138 0000 0000",
        "email": "",
        "message": "How do I begin?",
        "language": "zh-hans",
    }
    with in_main():
        return services.ask(**{**said, **values}, region=code, now=now)


def fresh(row: Lead) -> Lead:
    with in_main():
        return selectors.lead(row.public_id)


def trail(row: Lead) -> list[tuple[str, str]]:
    with in_main():
        return list(
            AuditRecord.objects.filter(target=row.public_id).order_by("pk").values_list("action", "actor_label")
        )


def new_shop(make_shop: Callable[..., Any], code: str) -> Any:
    shop = make_shop()
    with in_main():
        Substation.objects.filter(pk=shop.pk).update(region=code)
    return shop


class TestAsking:
    def test_it_is_offered_to_whoever_holds_the_city_for_as_long_as_they_have(
        self, alice: Any, city: Callable[[], str]
    ) -> None:
        code = city()
        grant = give(code, alice, answer_days=5)

        row = fresh(ask(code))

        assert (row.state, row.kind, row.grant_id) == ("OFFERED", "ASKED", grant.pk)
        assert (row.name, row.phone, row.message) == ("Lin Hua", "138 0000 0000", "How do I begin?")
        assert (row.offered_at, row.lapses_at) == (NOW, NOW + 5 * DAY)

    def test_nobody_s_city_is_the_main_station_s(self, city: Callable[[], str]) -> None:
        with in_main():
            before = selectors.waiting_count()

        row = fresh(ask(city()))

        assert (row.state, row.grant_id, row.lapses_at) == ("OPEN", None, None)
        with in_main():
            assert selectors.waiting_count() == before + 1

    def test_a_grant_that_is_over_or_to_come_gets_nothing(self, alice: Any, bob: Any, city: Callable[[], str]) -> None:
        code = city()
        give(code, alice, days=10)
        give(code, bob, start=NOW + 20 * DAY)

        assert ask(code, now=NOW + 10 * DAY).state == "OPEN"
        assert ask(code, now=NOW + 20 * DAY - timedelta(microseconds=1)).state == "OPEN"
        assert ask(code, now=NOW + 20 * DAY).state == "OFFERED"

    def test_nobody_answers_longer_than_they_hold_the_city(self, alice: Any, city: Callable[[], str]) -> None:
        code = city()
        give(code, alice, days=2)

        assert ask(code, now=NOW + DAY).lapses_at == NOW + 2 * DAY

    @pytest.mark.parametrize(
        ("values", "field", "words"),
        [
            ({"name": "  "}, "name", "Say what to call you."),
            ({"phone": ""}, "phone", "Leave a phone number or a mail address, so that somebody can answer."),
            ({"phone": "abc"}, "phone", "This is not a phone number."),
            ({"email": "nobody"}, "email", "This is not an email address."),
            ({"email": f"{'n' * 60}@{'.'.join(['x' * 60] * 4)}.com"}, "email", "This is not an email address."),
        ],
    )  # fmt: skip
    def test_refuses_what_nobody_can_answer(
        self, city: Callable[[], str], values: dict[str, str], field: str, words: str
    ) -> None:
        code = city()

        with pytest.raises(Invalid) as refused:
            ask(code, **values)

        assert (refused.value.field, str(refused.value)) == (field, words)
        with in_main():
            assert Lead.objects.filter(region__code=code).count() == 0

    def test_refuses_a_city_that_there_is_not(self) -> None:
        with pytest.raises(RegionUnclear):
            ask("Atlantis")

    def test_the_holder_is_told_by_mail_without_the_contact(self, alice: Any, city: Callable[[], str]) -> None:
        code = city()
        give(code, alice)
        row = ask(code)
        with in_main():
            [job] = Job.objects.filter(kind="regions.mail_offer", payload__lead=row.public_id)
        mail.outbox.clear()

        tasks.mail_offer(**job.payload)

        [sent] = mail.outbox
        assert sent.to == [alice.owner_email]
        assert f"{alice.url}/panel/region/" in sent.body
        assert "Lin" not in sent.body + sent.subject
        assert "0000" not in sent.body.replace("00:00", "")

    def test_nobody_is_told_of_what_is_answered(self, alice: Any, city: Callable[[], str]) -> None:
        code = city()
        give(code, alice)
        row = ask(code)
        with in_main():
            services.take(public_id=row.public_id, substation_id=alice.pk, by=OWNER, now=NOW)
        mail.outbox.clear()

        assert services.mail_offer(public_id=row.public_id) is False
        assert services.mail_offer(public_id="led_none") is False
        assert mail.outbox == []


class TestNewShops:
    def test_a_new_shop_of_a_held_city_is_offered_to_its_holder_once(
        self, alice: Any, make_shop: Callable[..., Any], city: Callable[[], str]
    ) -> None:
        code = city()
        give(code, alice)
        shop = new_shop(make_shop, code)

        for _ in range(2):
            with in_main():
                row = services.offer_shop(substation_id=shop.pk, now=NOW)

        assert row is not None
        assert (row.state, row.kind, row.substation_id) == ("OFFERED", "SHOP", shop.pk)
        with in_main():
            assert Lead.objects.filter(substation=shop).count() == 1
            assert selectors.contact(selectors.lead(row.public_id)) == selectors.Contact(
                shop.owner_name, "", shop.owner_email
            )

    def test_a_shop_of_nobody_s_city_is_noted_for_the_main_station(
        self, make_shop: Callable[..., Any], city: Callable[[], str]
    ) -> None:
        shop = new_shop(make_shop, city())

        with in_main():
            row = services.offer_shop(substation_id=shop.pk, now=NOW)

        assert row is not None
        assert (row.state, row.grant_id) == ("OPEN", None)

    def test_a_shop_without_a_city_is_no_lead(self, fresh_shop: Any) -> None:
        with in_main():
            assert services.offer_shop(substation_id=fresh_shop.pk, now=NOW) is None
            assert Lead.objects.filter(substation=fresh_shop).count() == 0

    def test_two_workers_note_it_once(self, make_shop: Callable[..., Any], city: Callable[[], str]) -> None:
        shop = new_shop(make_shop, city())

        def note() -> int:
            with in_main():
                row = services.offer_shop(substation_id=shop.pk, now=NOW)
                assert row is not None
                return row.pk

        first, second = all_at_once([note, note])

        assert first == second


class TestAnswering:
    def test_whoever_takes_it_has_it(self, alice: Any, city: Callable[[], str]) -> None:
        code = city()
        give(code, alice)
        row = ask(code)

        with in_main():
            services.take(public_id=row.public_id, substation_id=alice.pk, by=OWNER, now=NOW + DAY)

        row = fresh(row)
        assert (row.state, row.answered_at, row.answered_by) == ("TAKEN", NOW + DAY, "Alice Wang")
        assert trail(row) == [("regions.lead.taken", "Alice Wang")]

    def test_what_is_declined_waits_for_the_main_station(self, alice: Any, city: Callable[[], str]) -> None:
        code = city()
        give(code, alice)
        row = ask(code)

        with in_main():
            services.decline(public_id=row.public_id, substation_id=alice.pk, by=OWNER, now=NOW)
            services.handle(public_id=row.public_id, by=MIA, now=NOW + DAY)

        assert (fresh(row).state, fresh(row).answered_by) == ("HANDLED", "Mia")
        assert trail(row) == [("regions.lead.declined", "Alice Wang"), ("regions.lead.handled", "Mia")]

    def test_another_shop_can_neither_take_nor_decline_it(self, alice: Any, bob: Any, city: Callable[[], str]) -> None:
        code = city()
        give(code, alice)
        row = ask(code)

        for deed in (services.take, services.decline):
            with pytest.raises(LeadMissing), in_main():
                deed(public_id=row.public_id, substation_id=bob.pk, by=OWNER, now=NOW)

        assert fresh(row).state == "OFFERED"
        assert trail(row) == []

    def test_it_is_too_late_in_the_moment_in_which_it_lapses_swept_or_not(
        self, alice: Any, city: Callable[[], str]
    ) -> None:
        code = city()
        give(code, alice)
        row = ask(code)

        with pytest.raises(LeadRefused, match="It is “Not answered” now"), in_main():
            services.take(public_id=row.public_id, substation_id=alice.pk, by=OWNER, now=NOW + 3 * DAY)

        assert fresh(row).state == "OFFERED"

    def test_of_two_who_answer_at_once_one_is_heard(self, alice: Any, city: Callable[[], str]) -> None:
        code = city()
        give(code, alice)
        row = ask(code)

        def answer(deed: Any) -> Callable[[], str]:
            def run() -> str:
                with in_main():
                    return str(deed(public_id=row.public_id, substation_id=alice.pk, by=OWNER, now=NOW).state)

            return run

        answers = all_at_once([answer(services.take), answer(services.decline)])

        won = [one for one in answers if isinstance(one, str)]
        assert len(won) == 1
        assert [type(one) for one in answers if not isinstance(one, str)] == [LeadRefused]
        assert fresh(row).state == won[0]
        assert len(trail(row)) == 1

    @pytest.mark.parametrize("state", LeadState.values)
    @pytest.mark.parametrize("event", LeadEvent.values)
    def test_every_state_takes_the_events_that_its_life_has_and_no_other(
        self, alice: Any, city: Callable[[], str], state: str, event: str
    ) -> None:
        code = city()
        grant = give(code, alice)
        row = ask(code)
        with in_main():
            Lead.objects.filter(pk=row.pk).update(state=state)
        own = {"public_id": row.public_id, "by": MIA, "now": NOW}
        deeds: dict[str, Callable[[], object]] = {
            "OFFER": lambda: services.offer_again(**own),
            "TAKE": lambda: services.take(**own, substation_id=grant.substation_id),
            "DECLINE": lambda: services.decline(**own, substation_id=grant.substation_id),
            "LAPSE": lambda: services.lapse_due(now=NOW + 3 * DAY),
            "HANDLE": lambda: services.handle(**own),
        }
        sources, target = TRANSITIONS[LeadEvent(event)]

        try:
            with in_main():
                deeds[event]()
        except LeadRefused:
            assert state not in sources

        assert fresh(row).state == (target if state in sources else state)


class TestLapsing:
    def test_an_offer_lapses_in_its_moment_and_not_before(self, alice: Any, city: Callable[[], str]) -> None:
        code = city()
        give(code, alice)
        row = ask(code)

        with in_main():
            services.lapse_due(now=NOW + 3 * DAY - timedelta(microseconds=1))
        assert fresh(row).state == "OFFERED"
        with in_main():
            assert services.lapse_due(now=NOW + 3 * DAY) >= 1

        assert (fresh(row).state, fresh(row).answered_at) == ("LAPSED", NOW + 3 * DAY)
        assert trail(row) == [("regions.lead.lapsed", "Kameng")]

    def test_offers_of_a_grant_that_is_ended_lapse_with_it(self, alice: Any, city: Callable[[], str]) -> None:
        code = city()
        grant = give(code, alice)
        open_one, taken = ask(code), ask(code)
        with in_main():
            services.take(public_id=taken.public_id, substation_id=alice.pk, by=OWNER, now=NOW)

            services.end_grant(public_id=grant.public_id, by=MIA, now=NOW + DAY)

        assert (fresh(open_one).state, fresh(taken).state) == ("LAPSED", "TAKEN")
        assert trail(open_one) == [("regions.lead.lapsed", "Mia")]

    def test_nothing_of_a_grant_that_is_ended_can_be_taken_however_much_there_is(
        self, alice: Any, city: Callable[[], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_leads, "AT_ONCE", 1)
        code = city()
        grant = give(code, alice)
        written, left = ask(code), ask(code)

        with in_main():
            services.end_grant(public_id=grant.public_id, by=MIA, now=NOW + HOUR)
            for row in (written, left):
                with pytest.raises(LeadRefused):
                    services.take(public_id=row.public_id, substation_id=alice.pk, by=OWNER, now=NOW + HOUR)
            offered = {row.pk for row in selectors.offers_to(alice.pk, at=NOW + HOUR)}  # Other tests', too.
            assert (offered & {written.pk, left.pk}, fresh(left).state) == (set(), "OFFERED")
            while services.lapse_due(now=NOW + HOUR):
                pass

        assert (fresh(written).state, fresh(left).state) == ("LAPSED", "LAPSED")

    def test_what_waits_can_be_offered_to_the_next_holder(self, alice: Any, bob: Any, city: Callable[[], str]) -> None:
        code = city()
        grant = give(code, alice)
        row = ask(code)
        with in_main():
            services.end_grant(public_id=grant.public_id, by=MIA, now=NOW + DAY)
        with pytest.raises(LeadRefused, match="Nobody holds"), in_main():
            services.offer_again(public_id=row.public_id, by=MIA, now=NOW + DAY)
        give(code, bob, start=NOW + DAY)

        with in_main():
            services.offer_again(public_id=row.public_id, by=MIA, now=NOW + 2 * DAY)

        row = fresh(row)
        assert row.grant is not None
        assert (row.state, row.grant.substation_id, row.lapses_at, row.answered_at) == (
            "OFFERED",
            bob.pk,
            NOW + 5 * DAY,
            None,
        )
        with pytest.raises(LeadMissing), in_main():
            services.take(public_id=row.public_id, substation_id=alice.pk, by=OWNER, now=NOW + 2 * DAY)


class TestForgetting:
    def test_a_contact_goes_when_its_time_is_over_and_what_became_of_it_stays(
        self, alice: Any, city: Callable[[], str]
    ) -> None:
        code = city()
        give(code, alice)
        row = ask(code, email="lin@example.com")
        kept = timedelta(days=settings.LEAD_RETENTION_DAYS)
        with in_main():
            services.take(public_id=row.public_id, substation_id=alice.pk, by=OWNER, now=NOW)
            services.forget_due(now=NOW + kept - timedelta(microseconds=1))
        assert fresh(row).phone == "138 0000 0000"

        with in_main():
            assert services.forget_due(now=NOW + kept) >= 1

        row = fresh(row)
        assert (row.name, row.phone, row.email, row.message, row.forgotten_at) == ("", "", "", "", NOW + kept)
        assert (row.state, row.region.code, row.who) == ("TAKEN", code, "[removed]")

    def test_it_goes_at_once_when_they_wish_so(self, city: Callable[[], str]) -> None:
        row = ask(city())

        with in_main():
            services.forget(public_id=row.public_id, by=MIA, now=NOW)

        assert (fresh(row).name, fresh(row).phone) == ("", "")
        assert trail(row) == [("regions.lead.forgotten", "Mia")]
        with pytest.raises(LeadRefused, match="no contact left"), in_main():
            services.forget(public_id=row.public_id, by=MIA, now=NOW)

    def test_the_main_station_says_for_how_long(self) -> None:
        assert settings.LEAD_RETENTION_DAYS == 180
