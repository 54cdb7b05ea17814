"""What each bench makes of its figures, from figures put in by hand: none of these tests measures anything."""

from __future__ import annotations

from typing import Any

import pytest

from kameng.bench import ledger, page, provisioning, sale, sync, tenants
from kameng.bench._common import Report
from tests.kameng.bench.planted import got, holds, report

__all__ = ["report"]


def with_spread(*keys: str) -> list[str]:
    return [name for key in keys for name in (key, f"{key}_spread")]


class TestProvisioning:
    SIZES = {"few": 20, "many": 500}

    def times(self, **changes: float) -> provisioning.Times:
        seconds = {"spare_few": 0.02, "spare_many": 0.02, "library_few": 1.0, "library_many": 2.0, **changes}
        return {
            size: {
                "spare": [seconds[f"spare_{size}"]] * 3,
                "script": [0.2] * 3,
                "library": [seconds[f"library_{size}"]] * 3,
            }
            for size in self.SIZES
        }

    def test_says_what_was_asked(self, report: Report) -> None:
        result = provisioning.judge(report, self.times(), self.SIZES)

        assert [(line["what"], line["asked"]) for line in result["asked"]] == [
            ("taking a spare with 20 schemas, seconds", "≤ 0.02"),
            ("taking a spare with 500 schemas, seconds", "≤ 0.02"),
            ("taking a spare with 500 schemas, beside 20", "≤ 1.5"),
            ("a spare beside django-tenants' own create, 20 schemas, times", "≥ 50.0"),
            ("a spare beside django-tenants' own create, 500 schemas, times", "≥ 50.0"),
        ]
        assert got(result) == [0.02, 0.02, 1.0, 50.0, 100.0]
        assert holds(result) == [True, True, True, True, True]

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"spare_few": 0.0201}, [False, True, True, False, True]),
            ({"spare_many": 0.0301}, [True, False, False, True, True]),
            ({"library_few": 0.99}, [True, True, True, False, True]),
            ({"library_many": 0.99}, [True, True, True, True, False]),
        ],
    )
    def test_says_what_does_not_hold(self, report: Report, changes: dict[str, float], expected: list[bool]) -> None:
        assert holds(provisioning.judge(report, self.times(**changes), self.SIZES)) == expected

    def test_names_every_figure_and_ratio(self, report: Report) -> None:
        result = provisioning.judge(report, self.times(), self.SIZES)

        assert list(result["figures"]) == with_spread(
            "spare_s_few", "script_s_few", "library_s_few", "spare_s_many", "script_s_many", "library_s_many"
        )
        assert list(result["ratios"]) == with_spread(
            "spare_many_to_few", "script_many_to_few", "library_many_to_few", "library_to_spare_few",
            "library_to_script_few", "library_to_spare_many", "library_to_script_many",
        )  # fmt: skip


class TestSync:
    def rates(self, full: float = 80.0, changed: float = 80.0) -> sync.Rates:
        return {
            amount: {"sync": [mine] * 3, "bare": [100.0] * 3, "bulk_create": [20.0] * 3}
            for amount, mine in (("full", full), ("changed", changed))
        }

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [({}, [True, True]), ({"full": 79.0}, [False, True]), ({"changed": 79.0}, [True, False])],
    )
    def test_asks_for_four_fifths_of_the_bare_insert(
        self, report: Report, changes: dict[str, float], expected: list[bool]
    ) -> None:
        result = sync.judge(report, self.rates(**changes))

        assert holds(result) == expected
        assert {line["asked"] for line in result["asked"]} == {"≥ 0.8"}

    def test_names_every_figure_and_ratio(self, report: Report) -> None:
        result = sync.judge(report, self.rates())

        assert list(result["figures"]) == with_spread(
            *(f"{amount}_{way}_rows_per_s" for amount in ("full", "changed") for way in ("sync", "bare", "bulk_create"))
        )
        assert list(result["ratios"]) == with_spread(
            "full_sync_to_bare", "full_sync_to_bulk_create", "changed_sync_to_bare", "changed_sync_to_bulk_create"
        )
        assert result["ratios"]["full_sync_to_bulk_create"] == 4.0


class TestLedger:
    def rates(self, **changes: float) -> dict[str, dict[str, list[float]]]:
        planted = {"insert": 1_000.0, "post_2": 400.0, "post_8": 300.0, "post_16": 250.0, "batch": 2_500.0}
        planted |= {"hordak": 62.5, **changes}
        return {
            kind: {str(count): [planted.get(f"{kind}_{count}", planted.get(kind, 0.0))] * 3 for count in ledger.CLIENTS}
            for kind in ("insert", "post", "batch", "hordak")
        }

    def test_says_what_was_asked(self, report: Report) -> None:
        result = ledger.judge(report, self.rates())

        assert [(line["what"], line["asked"], line["got"]) for line in result["asked"]] == [
            ("sale as a share of S, 2 clients", "≥ 0.4", 0.4),
            ("sale beside django-hordak, 2 clients", "≥ 4.0", 6.4),
            ("batch of 100, sales as a share of S, 2 clients", "≥ 2.5", 2.5),
            ("sale as a share of S, 8 clients", "≥ 0.3", 0.3),
            ("sale beside django-hordak, 8 clients", "≥ 4.0", 4.8),
            ("batch of 100, sales as a share of S, 8 clients", "≥ 2.5", 2.5),
            ("sale as a share of S, 16 clients", "≥ 0.25", 0.25),
            ("sale beside django-hordak, 16 clients", "≥ 4.0", 4.0),
            ("batch of 100, sales as a share of S, 16 clients", "≥ 2.5", 2.5),
        ]
        assert all(holds(result))

    @pytest.mark.parametrize(
        ("changes", "short"),
        [
            ({"post_2": 399.0}, {0}),
            ({"post_8": 299.0}, {3}),
            ({"post_16": 249.0}, {6, 7}),
            ({"hordak": 70.0}, {7}),
            ({"batch": 2_499.0}, {2, 5, 8}),
        ],
    )
    def test_says_what_does_not_hold(self, report: Report, changes: dict[str, float], short: set[int]) -> None:
        result = ledger.judge(report, self.rates(**changes))

        assert {place for place, held in enumerate(holds(result)) if not held} == short

    def test_names_every_figure_and_ratio(self, report: Report) -> None:
        result = ledger.judge(report, self.rates())

        assert list(result["figures"]) == with_spread(
            *(f"{kind}_per_s_{count}" for count in (2, 8, 16) for kind in ("insert", "post", "batch", "hordak"))
        )
        assert list(result["ratios"]) == with_spread(
            *(
                f"{name}_{count}"
                for count in (2, 8, 16)
                for name in ("post_to_insert", "post_to_hordak", "batch_to_insert")
            )
        )


class TestSale:
    def measured(self, share: float = 0.3, **last: int) -> dict[str, Any]:
        counted = {"rounds": 1_000, "paid": 10_000, "sold_out": 54_000, "sold_twice": 0, "falsely_sold_out": 0}
        counted |= {"charged_without_code": 0, "errors": 0, **last}
        return {
            "statements": ["SELECT 1", "SELECT 2"],
            "rates": {
                "sale": {str(count): [100.0 * share] * 3 for count in (1, 4, 16)},
                "least": {str(count): [100.0] * 3 for count in (1, 4, 16)},
            },
            "last": counted,
        }

    def test_says_what_was_asked_and_prints_the_statements(
        self, report: Report, capsys: pytest.CaptureFixture[str]
    ) -> None:
        result = sale.judge(report, self.measured())

        assert [(line["what"], line["asked"], line["got"]) for line in result["asked"]] == [
            ("sale as a share of the least, 1 buyers", "≥ 0.3", 0.3),
            ("sale as a share of the least, 4 buyers", "≥ 0.3", 0.3),
            ("sale as a share of the least, 16 buyers", "≥ 0.3", 0.3),
            ("codes sold twice, 64 buyers for 10 codes, 1,000 rounds", "= 0", 0),
            ("buyers told “sold out” falsely, 64 buyers for 10 codes, 1,000 rounds", "= 0", 0),
            ("buyers charged without a code, 64 buyers for 10 codes, 1,000 rounds", "= 0", 0),
            ("buyers who got another error, 64 buyers for 10 codes, 1,000 rounds", "= 0", 0),
        ]
        assert all(holds(result))
        assert result["figures"]["statements_of_ours"] == 2
        assert "one sale sends 2 statements" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("last", "place"),
        [("sold_twice", 3), ("falsely_sold_out", 4), ("charged_without_code", 5), ("errors", 6)],
    )
    def test_one_wrong_sale_in_a_thousand_rounds_does_not_hold(self, report: Report, last: str, place: int) -> None:
        result = sale.judge(report, self.measured(**{last: 1}))

        assert [number for number, held in enumerate(holds(result)) if not held] == [place]

    def test_a_share_below_three_tenths_does_not_hold(self, report: Report) -> None:
        assert holds(sale.judge(report, self.measured(share=0.29)))[:3] == [False, False, False]

    def test_names_every_figure_and_ratio(self, report: Report) -> None:
        result = sale.judge(report, self.measured())

        assert list(result["figures"]) == [
            "statements_of_ours", "commits_of_ours", "statements", "last_codes",
            *with_spread(*(f"{kind}_per_s_{count}" for count in (1, 4, 16) for kind in ("sale", "least"))),
        ]  # fmt: skip
        assert list(result["ratios"]) == with_spread("sale_to_least_1", "sale_to_least_4", "sale_to_least_16")


class TestPage:
    SIZES = {"small": (60, 10), "large": (100_000, 100_000)}
    WEIGHTS = {"hello": 0.016, "home": 56.12, "product": 19.26, "home_anew": 56.2, "product_anew": 19.3}

    def rates(self, **changes: float) -> page.Rates:
        planted = {"hello": 100.0, "home": 15.0, "product": 30.0, "home_anew": 5.0, "product_anew": 10.0}
        return {size: {name: [changes.get(f"{size}_{name}", rate)] * 3 for name, rate in planted.items()}
                for size in self.SIZES}  # fmt: skip

    def test_says_what_was_asked(self, report: Report) -> None:
        result = page.judge(report, self.rates(), self.WEIGHTS, self.SIZES)

        assert [(line["what"], line["asked"], line["got"]) for line in result["asked"]] == [
            ("product page as a share of hello, 60 listings, 10 codes per SKU", "≥ 0.3", 0.3),
            ("product page as a share of hello, 100,000 listings, 100,000 codes per SKU", "≥ 0.3", 0.3),
            ("product page with much stock as a share of it with little", "≥ 0.9", 1.0),
            ("home page as a share of hello, 60 listings, 10 codes per SKU", "≥ 0.15", 0.15),
            ("home page as a share of hello, 100,000 listings, 100,000 codes per SKU", "≥ 0.15", 0.15),
            ("home page with much stock as a share of it with little", "≥ 0.9", 1.0),
        ]
        assert all(holds(result))

    @pytest.mark.parametrize(
        ("changes", "short"),
        [
            ({"small_product": 29.0}, {0}),
            ({"large_product": 26.0}, {1, 2}),
            ({"small_home": 14.0}, {3}),
            ({"large_home": 13.0}, {4, 5}),
        ],
    )
    def test_says_what_does_not_hold(self, report: Report, changes: dict[str, float], short: set[int]) -> None:
        result = page.judge(report, self.rates(**changes), self.WEIGHTS, self.SIZES)

        assert {place for place, held in enumerate(holds(result)) if not held} == short

    def test_names_every_figure_and_ratio(self, report: Report) -> None:
        result = page.judge(report, self.rates(), self.WEIGHTS, self.SIZES)

        pages = ("hello", "home", "product", "home_anew", "product_anew")
        assert list(result["figures"]) == [
            *(f"{name}_kb" for name in pages),
            *with_spread(*(f"{size}_{name}_per_s" for size in self.SIZES for name in pages)),
        ]
        assert list(result["ratios"]) == with_spread(
            "product_to_hello_small", "product_to_hello_large", "product_large_to_small", "home_to_hello_small",
            "home_to_hello_large", "home_large_to_small", "home_anew_to_hello_large", "product_anew_to_hello_large",
        )  # fmt: skip


class TestTenants:
    COST = {"first_ms": 50.0, "last_ms": 60.0, "relations": 249.0, "disk_bytes": 2_300_000.0}

    @pytest.mark.parametrize(("slow", "got_s", "held"), [(5, 0.2, True), (6, 1.0, False)])
    def test_counts_the_slowest_twentieth_out(self, report: Report, slow: int, got_s: float, held: bool) -> None:
        result = tenants.judge(report, self.COST, [1.0] * slow + [0.2] * (100 - slow))

        assert [(line["asked"], line["got"], line["holds"]) for line in result["asked"]] == [("< 1.0", got_s, held)]

    def test_names_every_figure_and_ratio(self, report: Report) -> None:
        result = tenants.judge(report, self.COST, [0.2, 0.3, 0.4])

        assert result["figures"] == {
            "one_ms_first_tenth": 50.0, "one_ms_last_tenth": 60.0, "one_relations": 249.0, "one_disk_mb": 2.3,
            "signup_s_median": 0.3, "signup_s_p95": 0.4, "signup_s_longest": 0.4,
        }  # fmt: skip
        assert result["ratios"] == {"last_tenth_to_first": 1.2}
