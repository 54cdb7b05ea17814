"""The people of both places are one piece: what differs is what each place calls it."""

from __future__ import annotations

from importlib import import_module

import pytest

from kameng.accounts import people
from kameng.accounts.catalogue import Place
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from tests.tenant_apps.panel.conftest import make_office, office  # noqa: F401  # Fixtures.
from tests.tenant_apps.panel.office import Office

NOW = clock.utc_now()


@pytest.mark.parametrize(
    ("where", "pages"), [(Place.SHOP, "tenant_apps.panel.words"), (Place.MAIN, "shared_apps.console.words")]
)
def test_every_act_has_words_on_the_places_pages(where: Place, pages: str) -> None:
    recorded = {f"{people.NAMES[where].acts}.{act}" for act in people.ACTS}

    assert recorded - set(import_module(pages).ACTIONS) == set()


def test_a_refusal_bears_the_places_own_code_and_words(office: Office) -> None:
    def refused() -> list[tuple[str, str, str]]:
        found = []
        for role, user_id in (("x", None), ("VIEWER", 0)):
            with pytest.raises((people.PersonInvalid, people.PersonUnknown)) as caught:
                if user_id is None:
                    people.invite(email="a@b.example", name="", role=role, mail=lambda _user: None, by=SYSTEM, now=NOW)
                else:
                    people.set_role(user_id=user_id, role=role, by=SYSTEM, now=NOW)
            found.append((caught.value.code, str(caught.value), caught.value.field))
        return found

    with in_main():
        of_the_station = refused()
    with in_substation(office.shop):
        of_the_shop = refused()

    assert of_the_station == [
        ("person_invalid", "There is no such role.", "role"), ("person_unknown", "There is no such person here.", ""),
    ]  # fmt: skip
    assert of_the_shop == [
        ("staff_invalid", "There is no such role.", "role"),
        ("staff_unknown", "There is no such person in this shop.", ""),
    ]
