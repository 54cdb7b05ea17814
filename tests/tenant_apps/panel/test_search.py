"""One search over everything that the reader may see."""

from __future__ import annotations

from kameng.accounts import roles
from kameng.accounts.models import Role, User
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_substation
from kameng.lib import clock
from tests.tenant_apps.panel.office import PASSWORD, Office


class TestSearch:
    def test_finds_goods_orders_people_and_pages(self, office: Office) -> None:
        placed = office.place(contact="bert@example.com")
        browser = office.owner

        goods = browser.get(f"/panel/search/?q={office.goods.code}").context
        people = browser.get("/panel/search/?q=staff%40").context
        pages = browser.get("/panel/search/?q=state").context
        buyers = browser.get("/panel/search/?q=bert%40").context

        assert [found["row"].listing.code for found in goods["goods"]] == [office.goods.code]
        assert [person.email for person in people["people"]] == ["staff@example.com"]
        assert [item["url"] for item in pages["pages"]] == ["/panel/statement/"]
        assert [order.number for order in buyers["orders"]] == [placed.number]

    def test_people_and_money_are_the_owners_to_find(self, office: Office) -> None:
        for word in ("staff%40", "state", "token"):
            context = office.staff.get(f"/panel/search/?q={word}").context

            assert (list(context["people"]), context["pages"]) == ([], []), word

    def test_orders_and_goods_are_for_whoever_may_look_at_them(self, office: Office) -> None:
        placed = office.place(contact="bert@example.com")
        with in_substation(office.shop):
            own = roles.save(name="Bookkeeper", permissions=["money.look"], by=SYSTEM, now=clock.utc_now())
            user = User.objects.create_user("bo@example.com", PASSWORD, role=Role.VIEWER, own_role=own)
            office.users["OWN"] = user.pk
        browser = office.browser("OWN")

        for word in (placed.number, "bert%40", office.goods.code, "Kind"):
            response = browser.get(f"/panel/search/?q={word}")

            assert response.status_code == 200, word
            found = (response.context[name] for name in ("orders", "goods", "categories"))
            assert [list(rows) for rows in found] == [[], [], []], word

    def test_says_what_can_be_found_when_there_is_nothing(self, office: Office) -> None:
        for query in ("", "q=%00", "q=no+such+thing"):
            response = office.owner.get(f"/panel/search/?{query}")

            assert response.status_code == 200
            assert "An order number" in response.content.decode()
