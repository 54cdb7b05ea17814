"""Private terms as rows: one in force at a time, ended and never removed, every change in the trail; two at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from kameng.accounts.models import AuditRecord
from kameng.db.context import in_main
from kameng.lib.errors import DomainError
from shared_apps.library import selectors, services
from shared_apps.library.models import PrivatePrice
from tenants.models import Substation
from tests.tenant_apps.market import CLERK, Goods, make_goods
from tests.tenant_apps.racing import Runner

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def shop(fresh_shop: Any) -> Any:
    return fresh_shop


@pytest.fixture
def goods(prepared: None) -> Goods:
    with in_main():
        return make_goods()


def put(shop: Any, goods: Goods, unit: str, **changes: Any) -> PrivatePrice:
    with in_main():
        return services.set_private_price(
            substation_id=shop.pk, sku_id=goods.sku_id, unit=Decimal(unit), by=CLERK, **{"now": NOW, **changes}
        )


def spans(shop: Any) -> list[tuple[str, datetime, datetime | None]]:
    """All rows of a shop in the order of writing: price, from, until."""
    with in_main():
        rows = PrivatePrice.objects.filter(substation=shop).order_by("id")
        return [(str(row.unit), row.starts_at, row.ends_at) for row in rows]


def trail(shop: Any) -> list[tuple[str, dict[str, Any]]]:
    with in_main():
        rows = AuditRecord.objects.filter(target=shop.public_id, action__startswith="library.private").order_by("id")
        return [(row.action, row.details) for row in rows]


class TestSetting:
    def test_holds_from_now_until_it_is_ended(self, shop: Any, goods: Goods) -> None:
        made = put(shop, goods, "9.00", note="Friends")

        assert spans(shop) == [("9.0000", NOW, None)]
        assert (made.note, made.by, made.created_at, made.ended_by) == ("Friends", "Clerk", NOW, "")
        assert trail(shop) == [
            (
                "library.private.set",
                {
                    "count": 1, "replaced": 0, "starts_at": NOW.isoformat(), "ends_at": None, "sku": goods.code,
                    "unit": "9.0000",
                },
            )
        ]  # fmt: skip

    def test_a_change_ends_one_and_writes_another(self, shop: Any, goods: Goods) -> None:
        put(shop, goods, "9.00")
        put(shop, goods, "8.80", now=NOW + HOUR)

        assert spans(shop) == [("9.0000", NOW, NOW + HOUR), ("8.8000", NOW + HOUR, None)]
        assert [details["replaced"] for _action, details in trail(shop)] == [0, 1]

    def test_said_again_changes_nothing(self, shop: Any, goods: Goods) -> None:
        first = put(shop, goods, "9.00")
        again = put(shop, goods, "9.0000", now=NOW + HOUR)

        assert again.pk == first.pk
        assert len(trail(shop)) == 1

    def test_what_is_to_come_stands_beside_what_is_in_force(self, shop: Any, goods: Goods) -> None:
        put(shop, goods, "9.00")
        put(shop, goods, "8.50", starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR)

        assert spans(shop) == [("9.0000", NOW, NOW + HOUR), ("8.5000", NOW + HOUR, NOW + 2 * HOUR)]

    def test_what_would_have_begun_later_never_does(self, shop: Any, goods: Goods) -> None:
        put(shop, goods, "8.50", starts_at=NOW + HOUR)
        put(shop, goods, "9.00")

        assert spans(shop) == [("8.5000", NOW + HOUR, NOW + HOUR), ("9.0000", NOW, None)]

    def test_one_minute_of_a_form_is_now(self, shop: Any, goods: Goods) -> None:
        put(shop, goods, "9.00", now=NOW + timedelta(seconds=40), starts_at=NOW)

        assert spans(shop) == [("9.0000", NOW + timedelta(seconds=40), None)]

    @pytest.mark.parametrize(
        ("unit", "changes", "field"),
        [
            ("0", {}, "unit"),
            ("-1", {}, "unit"),
            ("0.00001", {}, "unit"),
            ("1000000.01", {}, "unit"),
            ("NaN", {}, "unit"),
            ("9", {"starts_at": NOW - HOUR}, "starts_at"),
            ("9", {"ends_at": NOW}, "ends_at"),
            ("9", {"starts_at": NOW + timedelta(days=36_526)}, "starts_at"),
            ("9", {"ends_at": datetime(9999, 12, 31, 23, 59, tzinfo=UTC)}, "ends_at"),
            ("9", {"starts_at": NOW + HOUR, "ends_at": NOW + HOUR}, "ends_at"),
            ("9", {"note": "x" * 201}, "note"),
            ("9", {"sku_id": 2**40}, "sku"),
        ],
    )
    def test_refuses_and_names_the_field(
        self, shop: Any, goods: Goods, unit: str, changes: dict[str, Any], field: str
    ) -> None:
        wanted = {"substation_id": shop.pk, "sku_id": goods.sku_id, "unit": Decimal(unit), "by": CLERK, "now": NOW}

        with pytest.raises(DomainError) as refused, in_main():
            services.set_private_price(**{**wanted, **changes})

        assert refused.value.field == field
        assert (spans(shop), trail(shop)) == ([], [])

    def test_refuses_a_shop_that_is_closed_for_good(self, shop: Any, goods: Goods) -> None:
        with in_main():
            Substation.objects.filter(pk=shop.pk).update(state="CLOSED")

        with pytest.raises(services.ShopHasNoTerms):
            put(shop, goods, "9.00")

        assert spans(shop) == []


class TestEnding:
    def test_ends_one_now(self, shop: Any, goods: Goods) -> None:
        made = put(shop, goods, "9.00")

        with in_main():
            services.end_private_price(substation_id=shop.pk, public_id=made.public_id, by=CLERK, now=NOW + HOUR)

        assert spans(shop) == [("9.0000", NOW, NOW + HOUR)]
        assert trail(shop)[1] == ("library.private.end", {"count": 1, "sku": goods.code})

    def test_takes_back_what_is_to_come(self, shop: Any, goods: Goods) -> None:
        made = put(shop, goods, "9.00", starts_at=NOW + HOUR)

        with in_main():
            services.end_private_price(substation_id=shop.pk, public_id=made.public_id, by=CLERK, now=NOW)

        assert spans(shop) == [("9.0000", NOW + HOUR, NOW + HOUR)]

    def test_ends_all_that_stand_and_leaves_the_others(self, shop: Any, other_shop: Any, goods: Goods) -> None:
        with in_main():
            second = make_goods()
        put(shop, goods, "9.00")
        put(shop, second, "8.00", starts_at=NOW + HOUR)
        put(other_shop, goods, "7.00")

        with in_main():
            ended = services.end_private_prices(substation_id=shop.pk, by=CLERK, now=NOW + timedelta(minutes=1))
            again = services.end_private_prices(substation_id=shop.pk, by=CLERK, now=NOW + timedelta(minutes=2))

        assert (ended, again) == (2, 0)
        assert spans(other_shop) == [("7.0000", NOW, None)]
        assert [action for action, _details in trail(shop)] == [
            "library.private.set", "library.private.set", "library.private.end",
        ]  # fmt: skip

    def test_refuses_what_is_over_or_anothers(self, shop: Any, other_shop: Any, goods: Goods) -> None:
        made = put(shop, goods, "9.00")
        with pytest.raises(services.PrivatePriceUnknown), in_main():
            services.end_private_price(substation_id=other_shop.pk, public_id=made.public_id, by=CLERK, now=NOW + HOUR)
        assert spans(shop) == [("9.0000", NOW, None)]
        with in_main():
            services.end_private_price(substation_id=shop.pk, public_id=made.public_id, by=CLERK, now=NOW + HOUR)

        with pytest.raises(services.PrivatePriceOver), in_main():
            services.end_private_price(substation_id=shop.pk, public_id=made.public_id, by=CLERK, now=NOW + 2 * HOUR)


@pytest.fixture
def other_shop(make_shop: Any) -> Any:
    return make_shop()


class TestTheDatabase:
    @pytest.mark.parametrize(
        ("values", "constraint"),
        [
            ("9, '2026-11-25 13:00+00', NULL", "private_price_once"),
            ("9, '2026-11-24 13:00+00', '2026-11-25 12:00:01+00'", "private_price_once"),
            ("0, '2027-11-25 13:00+00', NULL", "private_price_positive"),
            ("9, '2026-11-20 13:00+00', '2026-11-19 13:00+00'", "private_price_ends_after_it_starts"),
        ],
    )
    def test_refuses_what_the_service_would_never_write(
        self, shop: Any, goods: Goods, values: str, constraint: str
    ) -> None:
        put(shop, goods, "9.00")

        with pytest.raises(IntegrityError, match=constraint), in_main(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO library_privateprice (public_id, substation_id, sku_id, unit, starts_at, ends_at, note, by, "
                f"created_at, ended_by) VALUES ('pvp_test', %s, %s, {values}, '', 'x', now(), '')",
                [shop.pk, goods.sku_id],
            )

    @pytest.mark.parametrize(
        "statement",
        ["UPDATE library_privateprice SET unit = 1", "UPDATE library_privateprice SET starts_at = now()",
         "DELETE FROM library_privateprice"],
    )  # fmt: skip
    def test_lets_nobody_rewrite_or_remove_what_held(self, shop: Any, goods: Goods, statement: str) -> None:
        put(shop, goods, "9.00")

        with pytest.raises(Exception, match="permission denied"), in_main(), connection.cursor() as cursor:
            cursor.execute(statement)


class TestTwoAtOnce:
    def test_the_second_waits_and_ends_the_firsts(self, shop: Any, goods: Goods) -> None:
        with in_main(), transaction.atomic():
            services.set_private_price(
                substation_id=shop.pk, sku_id=goods.sku_id, unit=Decimal("9.00"), by=CLERK, now=NOW
            )
            second = Runner(lambda: put(shop, goods, "8.00", now=NOW + HOUR))
            second.wait_until_blocked()

        assert second.result().unit == Decimal("8.00")
        assert spans(shop) == [("9.0000", NOW, NOW + HOUR), ("8.0000", NOW + HOUR, None)]


class TestWhatAShopPays:
    def test_is_its_private_price_else_its_plans(self, shop: Any, other_shop: Any, goods: Goods) -> None:
        put(shop, goods, "9.00", starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR)

        def paid(one: Any, at: datetime) -> tuple[Decimal, bool]:
            with in_main():
                return selectors.supply_of(one.pk, one.plan.supply_level, [goods.sku_id], at)[goods.sku_id]

        plan = (Decimal("9.50"), False)
        assert [paid(shop, NOW), paid(shop, NOW + HOUR), paid(shop, NOW + 2 * HOUR)] == [
            plan, (Decimal("9.00"), True), plan,
        ]  # fmt: skip
        assert paid(other_shop, NOW + HOUR) == plan
