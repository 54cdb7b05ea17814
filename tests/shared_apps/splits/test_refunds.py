"""A sale goes back by what is left of each part; the shop's from pending, then available, then as a debt."""

from __future__ import annotations

import itertools
import os
import threading
from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, connection, connections, transaction

from kameng.db.context import in_main
from shared_apps.ledger import selectors
from shared_apps.ledger import services as ledger
from shared_apps.ledger.types import Leg, Posted
from shared_apps.splits.models import SplitRule
from shared_apps.splits.refunds import RefundRefused, refund_sale, sale_left

pytestmark = pytest.mark.usefixtures("prepared")
NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
_serial = itertools.count(1)


class Shop:
    """A substation's accounts of its own, and a channel that nobody else uses."""

    def __init__(self) -> None:
        number = next(_serial)
        self.id = 900_000 + os.getpid() % 9_000 * 10 + number
        self.name = f"test{self.id}"
        self.clearing, self.fee = f"channel:{self.name}:clearing", f"channel:{self.name}:fee"
        self.supply, self.platform = f"test:{self.name}:revenue", f"test:{self.name}:platform"
        with in_main():
            for code, kind in ((self.clearing, "ASSET"), (self.fee, "LIABILITY"), (self.supply, "INCOME"),
                               (self.platform, "INCOME")):  # fmt: skip
                ledger.open_account(code=code, account_class=kind, currency="CNY", now=NOON)
            for part, kind, floor in (("pending", "LIABILITY", None), ("available", "LIABILITY", 0),
                                      ("receivable", "ASSET", None)):  # fmt: skip
                ledger.open_account(code=self.account(part), account_class=kind, currency="CNY", floor_minor=floor,
                                    substation_id=self.id, now=NOON)  # fmt: skip

    def account(self, part: str) -> str:
        return f"substation:{self.id}:{part}"

    def sell(self) -> Posted:
        """¥100.00: 80.00 supply, 0.60 channel, 1.94 platform, 17.46 the shop's."""
        legs = [(self.clearing, 10_000), (self.supply, -8_000), (self.fee, -60), (self.platform, -194),
                (self.account("pending"), -1_746)]  # fmt: skip
        with in_main():
            return ledger.post_transfer(
                key=f"sale:{self.name}:{next(_serial)}", kind="sale", legs=[Leg(*leg) for leg in legs], currency="CNY",
                event_at=NOON, reference_type="order", reference=f"ORD{self.name}", substation_id=self.id,
            )  # fmt: skip

    def move(self, source: str, target: str, amount_minor: int) -> None:
        with in_main():
            ledger.post_transfer(
                key=f"move:{self.name}:{next(_serial)}", kind="adjustment", currency="CNY", event_at=NOON,
                legs=[Leg(source, amount_minor), Leg(target, -amount_minor)],
            )  # fmt: skip

    def refund(self, sale: Posted, amount_minor: int, key: str = "") -> Posted:
        with in_main():
            return refund_sale(
                key=key or f"refund:{self.name}:{next(_serial)}", sale_id=sale.id, amount_minor=amount_minor,
                event_at=NOON,
            )  # fmt: skip

    def balances(self) -> dict[str, int]:
        codes = {"clearing": self.clearing, "supply": self.supply, "fee": self.fee, "platform": self.platform,
                 **{part: self.account(part) for part in ("pending", "available", "receivable")}}  # fmt: skip
        with in_main():
            return {name: selectors.balance_minor(code) for name, code in codes.items()}


def nothing() -> dict[str, int]:
    return dict.fromkeys(("clearing", "supply", "fee", "platform", "pending", "available", "receivable"), 0)


class TestRefundSale:
    def test_gives_back_every_part_in_proportion(self) -> None:
        shop = Shop()
        sale = shop.sell()

        shop.refund(sale, 2_500)

        # A quarter: 2,000 / 15 / 48.5 / 436.5; of two equal remainders the first account by code gives the cent.
        left = shop.balances()
        assert (left["clearing"], left["supply"], left["fee"]) == (7_500, 6_000, 45)
        assert (left["platform"], left["pending"]) == (146, 1_309)

    def test_leaves_nothing_after_the_last_of_many_odd_refunds(self) -> None:
        shop = Shop()
        sale = shop.sell()

        for amount in (1, 3_333, 7, 3_333, 3_326):
            shop.refund(sale, amount)

        assert shop.balances() == nothing()
        with in_main():
            left = sale_left(sale.id)
        assert (left.source_minor, [part for _, part in left.parts]) == (0, [0, 0, 0, 0])

    def test_takes_the_shops_part_from_pending_then_available_then_as_a_debt(self) -> None:
        shop = Shop()
        sale = shop.sell()
        shop.move(shop.account("pending"), shop.account("available"), 1_000)  # Settled: 746 are still pending.
        shop.move(shop.account("available"), shop.clearing, 700)  # Withdrawn: 300 are still available.

        shop.refund(sale, 10_000)

        left = shop.balances()
        assert (left["pending"], left["available"], left["receivable"]) == (0, 0, 700)
        assert (left["supply"], left["fee"], left["platform"]) == (0, 0, 0)

    def test_refuses_more_than_is_left_and_moves_nothing(self) -> None:
        shop = Shop()
        sale = shop.sell()
        shop.refund(sale, 6_000)
        before = shop.balances()

        with pytest.raises(RefundRefused) as refused:
            shop.refund(sale, 4_001)

        assert refused.value.details == {"left_minor": 4_000}
        assert shop.balances() == before

    @pytest.mark.parametrize("amount", [0, -1])
    def test_refuses_a_refund_of_nothing(self, amount: int) -> None:
        shop = Shop()
        sale = shop.sell()

        with pytest.raises(RefundRefused):
            shop.refund(sale, amount)

        assert shop.balances()["clearing"] == 10_000

    def test_refuses_what_is_no_sale(self) -> None:
        shop = Shop()
        sale = shop.sell()
        refund = shop.refund(sale, 100)
        before = shop.balances()

        with pytest.raises(RefundRefused):
            shop.refund(refund, 50)

        assert shop.balances() == before

    def test_answers_a_repeated_key_with_the_first_refund(self) -> None:
        shop = Shop()
        sale = shop.sell()
        key = f"refund:{shop.name}:once"

        first, again = shop.refund(sale, 2_500, key), shop.refund(sale, 2_500, key)

        assert (first.created, again.created, again.id) == (True, False, first.id)
        assert shop.balances()["clearing"] == 7_500

    def test_refuses_a_repeated_key_with_another_amount(self) -> None:
        shop = Shop()
        sale = shop.sell()
        key = f"refund:{shop.name}:once"
        shop.refund(sale, 2_500, key)

        with pytest.raises(ledger.IdempotencyConflict):
            shop.refund(sale, 2_501, key)

        assert shop.balances()["clearing"] == 7_500

    def test_of_two_at_once_only_what_is_left_goes_back(self) -> None:
        shop = Shop()
        sale = shop.sell()
        done: list[str] = []
        barrier = threading.Barrier(4)

        def one() -> None:
            try:
                barrier.wait(timeout=20)
                shop.refund(sale, 3_000)
                done.append("refunded")
            except RefundRefused:
                done.append("refused")
            finally:
                connection.close()

        threads = [threading.Thread(target=one) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(done) == ["refunded", "refunded", "refunded", "refused"]
        assert shop.balances()["clearing"] == 1_000

    def test_the_database_refuses_to_take_more_than_a_part_got(self) -> None:
        shop = Shop()
        sale = shop.sell()
        before = shop.balances()

        with pytest.raises(ledger.RelationRefused), in_main():
            ledger.post_transfer(
                key=f"refund:{shop.name}:forged", kind="refund", currency="CNY", event_at=NOON, relation="REFUNDS",
                related_id=sale.id, legs=[Leg(shop.clearing, -61), Leg(shop.fee, 61)],
            )  # fmt: skip

        assert shop.balances() == before


class TestTerms:
    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE splits_splitrule SET platform_fee_bps = 1",
            "DELETE FROM splits_splitrule",
            "TRUNCATE splits_splitrule",
        ],
    )
    def test_a_version_is_never_changed(self, sql: str) -> None:
        with in_main():
            before = list(SplitRule.objects.values())

        with pytest.raises(DatabaseError), transaction.atomic(using="owner"):
            connections["owner"].cursor().execute("SET LOCAL search_path = public; " + sql)

        with in_main():
            assert list(SplitRule.objects.values()) == before
