"""Taking a ready schema: once for each substation, whoever else takes one at the same time."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError

from kameng.db.context import MAIN, in_main, pointed_at
from kameng.lib import clock
from tenants import provisioning, signup, spares, tasks, template
from tenants.models import Plan, Signup, SpareSchema, Substation, SyncState
from tenants.states import SpareState
from tests.tenant_apps.racing import Runner

_serial = itertools.count(1)


@pytest.fixture(autouse=True)
def _empty_pool(prepared: None) -> Iterator[None]:
    """What other tests left is nobody's here, and what these leave (rows without a schema) is nobody's after them."""
    with in_main():
        SpareSchema.objects.filter(state=SpareState.READY).delete()
    yield
    with in_main():
        SpareSchema.objects.filter(state=SpareState.READY).delete()


def spare() -> str:
    """One more ready schema: its row, which is all that taking it touches."""
    with in_main():
        name = f"s_test_{os.getpid()}_{next(_serial)}"
        SpareSchema.objects.create(schema_name=name, version=template.schema_version())
    return name


def shop() -> Substation:
    """A substation as signup writes it, without a schema."""
    with in_main():
        substation = Substation(
            slug=f"spare-{next(_serial)}-{os.getpid()}",
            name="Night Market",
            plan=Plan.objects.get(code="basic"),
            owner_email="nina@example.com",
        )
        substation.schema_name = provisioning.schema_placeholder(substation.public_id)
        substation.save()
    return substation


def take(substation: Substation) -> spares.Taken | None:
    with in_main():
        return spares.take(substation.pk, clock.utc_now())


def rows(substation: Substation) -> tuple[Any, ...]:
    """The substation's schema and version, its spare and its feeds, as they are in the database."""
    with in_main():
        kept = Substation.objects.get(pk=substation.pk)
        return (
            kept.schema_name,
            kept.schema_version,
            list(SpareSchema.objects.filter(substation=substation).values_list("schema_name", "state")),
            sorted(SyncState.objects.filter(substation=substation).values_list("feed", "watermark", "error")),
        )


FEEDS = [("LIBRARY", 0, ""), ("STATEMENT", 0, ""), ("STOCK", 0, "")]


class TestTake:
    def test_gives_the_oldest_spare_and_notes_whose_it_is(self) -> None:
        first, _second = spare(), spare()
        alice = shop()

        taken = take(alice)

        version = template.schema_version()
        assert taken == spares.Taken(first, version)
        assert rows(alice) == (first, version, [(first, "TAKEN")], FEEDS)

    def test_repeated_it_answers_the_same_and_takes_no_other(self) -> None:
        first, second = spare(), spare()
        alice = shop()
        take(alice)
        before = rows(alice)

        again = take(alice)

        assert again is not None
        assert again.schema_name == first
        assert rows(alice) == before
        with in_main():
            assert SpareSchema.objects.get(schema_name=second).state == SpareState.READY

    def test_an_empty_pool_changes_nothing(self) -> None:
        alice = shop()
        before = rows(alice)

        taken = take(alice)

        assert taken is None
        assert rows(alice) == before == (alice.schema_name, "", [], [])

    def test_a_spare_of_another_version_is_none(self) -> None:
        name = spare()
        with in_main():
            SpareSchema.objects.filter(schema_name=name).update(version="an older one")
        alice = shop()

        assert take(alice) is None

        with in_main():
            assert SpareSchema.objects.get(schema_name=name).state == SpareState.READY


class TestRaces:
    def test_two_signups_at_once_get_a_schema_each_and_neither_waits(self) -> None:
        first, second = spare(), spare()
        alice, bob = shop(), shop()

        with in_main():
            hers = spares.take(alice.pk, clock.utc_now())
            his = Runner(lambda: take(bob)).result()  # While hers is not committed.

        assert hers is not None
        assert (hers.schema_name, his.schema_name) == (first, second)
        assert (rows(alice)[0], rows(bob)[0]) == (first, second)

    def test_a_taker_who_gives_up_leaves_the_spare(self) -> None:
        first = spare()
        alice, bob = shop(), shop()

        with pytest.raises(ZeroDivisionError), in_main():
            spares.take(alice.pk, clock.utc_now())
            raise ZeroDivisionError
        taken = take(bob)

        assert taken is not None
        assert taken.schema_name == first
        assert rows(alice) == (alice.schema_name, "", [], [])

    def test_two_runs_of_one_signup_take_one_schema(self) -> None:
        first, second = spare(), spare()
        alice = shop()

        with in_main():
            spares.take(alice.pk, clock.utc_now())
            other = Runner(lambda: take(alice))
            other.wait_until_blocked()  # By the key that allows a substation one spare.
        with pytest.raises(IntegrityError, match="tenants_spareschema_substation_id"):
            other.result()
        again = take(alice)

        assert again is not None
        assert again.schema_name == first
        assert rows(alice)[2] == [(first, "TAKEN")]
        with in_main():
            assert SpareSchema.objects.get(schema_name=second).state == SpareState.READY


class TestRefilling:
    @pytest.fixture(autouse=True)
    def _no_schemas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Their making is tested elsewhere: here a spare is its row."""
        monkeypatch.setattr(spares, "make_schema", lambda name, script: None)
        with in_main():  # What other tests left half-made waits no longer.
            Signup.objects.update(updated_at=clock.utc_now() - timedelta(hours=1))

    @pytest.fixture
    def wait(self) -> Iterator[Callable[..., Signup]]:
        """`wait(state=…)`: one more sign-up, that waits to be made if nothing else is said."""
        made: list[int] = []

        def one(state: str = "VERIFIED") -> Signup:
            with in_main():
                row = Signup.objects.create(
                    name="Night Market", slug=f"waits-{next(_serial)}-{os.getpid()}", plan=Plan.objects.get(code="basic"),
                    email="nina@example.com", password="!", token_digest=os.urandom(32), code_digest=b"",
                    code_expires_at=clock.utc_now(), state=state,
                )  # fmt: skip
            made.append(row.pk)
            return row

        yield one
        with in_main():
            Signup.objects.filter(pk__in=made).delete()

    def ready(self) -> int:
        with in_main():
            return SpareSchema.objects.filter(state=SpareState.READY).count()

    def test_makes_a_few_a_turn_until_the_pool_is_full(self) -> None:
        with pointed_at(MAIN):
            made = [spares.refill(12) for _ in range(4)]

        assert (made, self.ready()) == ([5, 5, 2, 0], 12)

    def test_lets_those_who_wait_go_first(self, wait: Callable[..., Signup]) -> None:
        """While there is a spare for each of them, none is made; where there is not, only as many as they need."""
        for _ in range(2):
            spare()
        wait(), wait()
        with pointed_at(MAIN):
            enough = spares.refill(12)
        wait(), wait()
        with pointed_at(MAIN):
            short = spares.refill(12)

        assert (enough, short, self.ready()) == (0, 2, 4)

    def test_stops_for_who_comes_meanwhile(self, wait: Callable[..., Signup], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(spares, "make_schema", lambda name, script: wait())

        with pointed_at(MAIN):
            assert spares.refill(12) == 1

        assert self.ready() == 1

    @pytest.mark.parametrize("state", ["VERIFYING", "PAYING", "LIVE", "FAILED", "EXPIRED"])
    def test_waits_for_no_one_else(self, wait: Callable[..., Signup], state: str) -> None:
        wait(state=state)

        with pointed_at(MAIN):
            assert spares.refill(2) == 2

    def test_waits_for_none_that_stands_still(self, wait: Callable[..., Signup]) -> None:
        with in_main():
            Signup.objects.filter(pk=wait().pk).update(updated_at=clock.utc_now() - timedelta(minutes=2))

        with pointed_at(MAIN):
            assert spares.refill(2) == 2

    def test_leaves_it_to_the_one_who_is_at_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        others = []
        monkeypatch.setattr(spares, "make_schema", lambda name, script: others.append(spares.refill(12)))

        with pointed_at(MAIN):
            assert spares.refill(2) == 2

        assert (others, self.ready()) == ([0, 0], 2)

    def test_begins_again_after_one_that_failed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(name: str, script: str) -> None:
            raise ZeroDivisionError

        with pointed_at(MAIN):
            with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
                patch.setattr(spares, "make_schema", fail)
                spares.refill(2)

            assert spares.refill(2) == 2

    @pytest.mark.parametrize(("ready", "afterwards"), [(1, 4), (2, 2)])
    def test_a_sign_up_refills_a_pool_that_runs_low(
        self, monkeypatch: pytest.MonkeyPatch, ready: int, afterwards: int
    ) -> None:
        monkeypatch.setattr(tasks.settings, "SPARE_SCHEMAS", 4)
        monkeypatch.setattr(signup, "provision", lambda signup_id: None)
        for _ in range(ready):
            spare()

        with pointed_at(MAIN):
            tasks.provision(signup_id=1)

        assert self.ready() == afterwards
