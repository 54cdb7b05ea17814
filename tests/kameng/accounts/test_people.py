"""The people of both places are one piece: what differs is what each place calls it."""

from __future__ import annotations

from importlib import import_module

import pytest

from kameng.accounts import people
from kameng.accounts.catalogue import Place
from kameng.accounts.models import Role, User
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from tests.tenant_apps.panel.conftest import make_office, office  # noqa: F401  # Fixtures.
from tests.tenant_apps.panel.office import PASSWORD, Office

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


def test_the_page_spares_the_only_owner_who_can_log_in_and_nobody_else(office: Office) -> None:
    """One who was only invited can't stand in for the last one, and may be given another role meanwhile."""
    with in_substation(office.shop):
        invited = User.objects.create_user("invited@example.com", None, role=Role.OWNER).pk

    page = office.owner.get("/panel/staff/")

    assert page.context["last_owner"] == office.users["OWNER"]
    assert f'action="/panel/staff/{invited}/role/"' in page.content.decode()
    assert f'action="/panel/staff/{office.users["OWNER"]}/role/"' not in page.content.decode()


def test_of_two_who_can_log_in_none_is_the_last(office: Office) -> None:
    with in_substation(office.shop):
        User.objects.create_user("second@example.com", PASSWORD, role=Role.OWNER)

        assert people.last_able() is None
