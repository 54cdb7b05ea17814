"""A substation's states: what leads where, what each allows, and that every move is kept."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, ProgrammingError, transaction

from kameng.accounts.types import SYSTEM
from kameng.db.context import MAIN, in_main, pointed_at
from tenants import hosts, lifecycle, services
from tenants.models import Substation, SubstationStep
from tenants.states import SUBSTATION_TRANSITIONS, Standing, SubstationEvent, SubstationState, sells

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
S, E = SubstationState, SubstationEvent


def put(shop: Any, state: SubstationState) -> None:
    Substation.objects.filter(pk=shop.pk).update(state=state)


def steps(shop: Any) -> list[tuple[str, str, str]]:
    rows = SubstationStep.objects.filter(substation_id=shop.pk).exclude(event=E.OPEN).order_by("id")
    return list(rows.values_list("event", "from_state", "to_state"))


class TestMoves:
    def test_a_new_shop_s_opening_is_its_first_step(self, fresh_shop: Any) -> None:
        with in_main():
            (step,) = SubstationStep.objects.filter(substation_id=fresh_shop.pk)
        assert (step.event, step.from_state, step.to_state, step.by) == ("OPEN", "PROVISIONING", "ACTIVE", "Kameng")

    @pytest.mark.parametrize("event", [e for e in E if e not in (E.RESUME, E.KEEP)])
    @pytest.mark.parametrize("state", list(S))
    def test_an_event_leads_out_of_its_states_alone(
        self, db: None, alice: Any, event: SubstationEvent, state: SubstationState
    ) -> None:
        put(alice, state)
        sources, target = SUBSTATION_TRANSITIONS[event]
        if state in sources:
            assert lifecycle.move(substation_id=alice.pk, event=event, by=SYSTEM, now=NOW).state == target
            assert steps(alice) == [(event, state, target)] or event == E.OPEN
        else:
            with pytest.raises(lifecycle.LifecycleRefused):
                lifecycle.move(substation_id=alice.pk, event=event, by=SYSTEM, now=NOW)
            assert Substation.objects.get(pk=alice.pk).state == state
            assert steps(alice) == []

    @pytest.mark.parametrize("before", [S.TRIAL, S.ACTIVE, S.PAST_DUE])
    def test_a_resumed_shop_is_what_it_was_before(self, db: None, alice: Any, before: SubstationState) -> None:
        put(alice, before)
        services.suspend(public_id=alice.public_id, reason="A complaint.", by=SYSTEM, now=NOW)
        assert services.resume(public_id=alice.public_id, by=SYSTEM, now=NOW).state == before

    def test_a_suspended_shop_that_is_kept_stays_suspended(self, db: None, alice: Any) -> None:
        for event in (E.SUSPEND, E.BEGIN_CLOSING, E.KEEP):
            lifecycle.move(substation_id=alice.pk, event=event, by=SYSTEM, now=NOW)
        assert Substation.objects.get(pk=alice.pk).state == S.SUSPENDED
        assert lifecycle.move(substation_id=alice.pk, event=E.RESUME, by=SYSTEM, now=NOW).state == S.ACTIVE

    def test_the_database_takes_no_state_of_another_name(self, db: None, alice: Any) -> None:
        with pytest.raises(IntegrityError, match="substation_state_known"), transaction.atomic():
            Substation.objects.filter(pk=alice.pk).update(state="OPEN")

    def test_a_step_is_written_once(self, db: None, alice: Any) -> None:
        lifecycle.move(substation_id=alice.pk, event=E.SUSPEND, by=SYSTEM, now=NOW)
        for act in ("update", "delete"):
            with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
                rows = SubstationStep.objects.filter(substation_id=alice.pk)
                rows.update(reason="another") if act == "update" else rows.delete()


class TestStanding:
    def test_only_what_is_due_restricts(self, db: None, alice: Any) -> None:
        with pytest.raises(lifecycle.LifecycleRefused):
            lifecycle.set_standing(substation_id=alice.pk, standing=Standing.SHUT, by=SYSTEM, now=NOW)
        assert Substation.objects.get(pk=alice.pk).standing == Standing.GOOD

    def test_payment_lifts_every_restriction(self, db: None, alice: Any) -> None:
        lifecycle.move(substation_id=alice.pk, event=E.MISS_PAYMENT, by=SYSTEM, now=NOW)
        assert lifecycle.set_standing(substation_id=alice.pk, standing=Standing.SHUT, by=SYSTEM, now=NOW)
        assert not lifecycle.set_standing(substation_id=alice.pk, standing=Standing.SHUT, by=SYSTEM, now=NOW)
        paid = lifecycle.move(substation_id=alice.pk, event=E.PAY, by=SYSTEM, now=NOW)
        assert (paid.state, paid.standing) == (S.ACTIVE, Standing.GOOD)

    @pytest.mark.parametrize(
        ("state", "standing", "expected"),
        [
            (S.ACTIVE, Standing.GOOD, True),
            (S.TRIAL, Standing.GOOD, True),
            (S.PAST_DUE, Standing.REMINDED, True),
            (S.PAST_DUE, Standing.READ_ONLY, True),
            (S.PAST_DUE, Standing.SHUT, False),
            (S.SUSPENDED, Standing.GOOD, False),
            (S.CLOSING, Standing.GOOD, False),
            (S.CLOSED, Standing.GOOD, False),
        ],
    )
    def test_who_sells(self, state: SubstationState, standing: Standing, expected: bool) -> None:
        assert sells(state, standing) is expected

    def test_whose_panel_is_only_looked_at(self, db: None, alice: Any) -> None:
        row = Substation.objects.select_related("plan").get(pk=alice.pk)
        bitten, closed = set(), set()

        for row.state, row.standing in itertools.product(SubstationState, Standing):
            info = hosts.info_of(row)
            bitten |= {(row.state, row.standing)} if info.read_only else set()
            closed |= {row.state} if info.closed else set()

        assert bitten == {(S.PAST_DUE, Standing.READ_ONLY), (S.PAST_DUE, Standing.SHUT)}
        assert closed == {S.CLOSED}


class TestHosts:
    @pytest.mark.parametrize(("state", "found"), [(S.CLOSED, True), (S.ERASED, False), (S.APPLIED, False)])
    def test_no_host_leads_to_what_is_not_there(self, fresh_shop: Any, state: SubstationState, found: bool) -> None:
        with in_main():
            put(fresh_shop, state)
        with pointed_at(MAIN):
            assert (hosts.substation_for(fresh_shop.host, anew=True) is not None) is found
