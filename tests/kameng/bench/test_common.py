"""The shape of a result, and the surroundings that a bench gets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kameng.bench._apart import Apart
from kameng.bench._common import Database, Report, environment, renamed, workplace
from kameng.local.errors import LocalError
from tests.kameng.bench.planted import report

__all__ = ["report"]


class TestReport:
    @pytest.mark.parametrize(
        ("sign", "got", "expected"),
        [
            ("≥", 0.3, True),
            ("≥", 0.29999999, False),
            ("≤", 0.3, True),
            ("≤", 0.30000001, False),
            ("=", 0.3, True),
            ("=", 0.30000001, False),
        ],
    )
    def test_compares_as_measured_and_shows_it_rounded(
        self, report: Report, sign: str, got: float, expected: bool
    ) -> None:
        report.ask("this", sign, 0.3, got)  # type: ignore[arg-type]

        assert report.result()["asked"] == [{"what": "this", "asked": f"{sign} 0.3", "got": 0.3, "holds": expected}]

    def test_gives_a_figure_as_its_median_with_the_spread(self, report: Report) -> None:
        middle = report.figure("rows_per_s", [30.0, 10.0, 20.0])

        assert middle == 20.0
        assert report.result()["figures"] == {"rows_per_s": 20.0, "rows_per_s_spread": [10.0, 30.0]}

    def test_makes_a_ratio_round_by_round(self, report: Report) -> None:
        # Medians alone would say 20 / 40; the second round was slow for both.
        middle = report.ratio("ours_to_theirs", [30.0, 3.0, 20.0], [40.0, 3.0, 40.0])

        assert middle == 0.75
        assert report.result()["ratios"] == {"ours_to_theirs": 0.75, "ours_to_theirs_spread": [0.5, 1.0]}

    def test_refuses_rounds_that_do_not_pair(self, report: Report) -> None:
        with pytest.raises(ValueError, match="shorter"):
            report.ratio("ours_to_theirs", [1.0, 2.0], [1.0])

        assert report.ratios == {}

    def test_has_five_parts_and_the_versions(self, report: Report) -> None:
        result = report.result()

        assert list(result) == ["name", "versions", "figures", "ratios", "asked"]
        assert list(result["versions"]) == ["postgres", "python", "cores", "django"]
        assert result["name"] == "planted"


class TestSurroundings:
    BASE = Database("postgresql://app@/kameng?host=a&port=1", "postgresql://owner@/kameng?host=a&port=1", "root")

    def test_nothing_of_a_persons_settings_reaches_a_bench(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in ("KAMENG_SCHEME", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "EMAIL_URL", "PGOPTIONS"):
            monkeypatch.setenv(name, "a person's own")
        monkeypatch.setenv("KEPT", "as it is")

        env = environment(self.BASE, tmp_path)

        assert "a person's own" not in env.values()
        assert env["KEPT"] == "as it is"
        assert env["DATABASE_URL"] == self.BASE.app
        assert env["KAMENG_DATA"] == str(tmp_path)

    def test_renames_the_database_of_a_url_alone(self) -> None:
        url = "postgresql://owner:secret@/kameng?host=%2Ftmp%2Fkameng&port=5"

        assert renamed(url, "library") == "postgresql://owner:secret@/library?host=%2Ftmp%2Fkameng&port=5"

    def test_the_folder_is_gone_afterwards_with_what_is_in_it(self) -> None:
        with workplace("planted") as folder:
            (folder / "postgres" / "deep").mkdir(parents=True)
            (folder / "postgres" / "deep" / "file").write_text("x")

        assert not folder.exists()

    def test_the_folder_is_gone_after_a_failure(self) -> None:
        with pytest.raises(ZeroDivisionError), workplace("planted") as folder:
            raise ZeroDivisionError

        assert not folder.exists()


class TestApart:
    def test_answers_calls_one_after_the_other_with_a_django_of_its_own(self) -> None:
        env = {**os.environ, "KAMENG_CURRENCY": "USD", "DJANGO_SETTINGS_MODULE": "kameng.settings"}

        with Apart(env) as process:
            first = process.call("operator:add", 40, 2)
            second = process.call("django.core.management:call_command", "diffsettings", "--output=unified")

        assert first == 42
        assert "+ CURRENCY = 'USD'" in second

    def test_says_when_the_process_ended_instead(self, capfd: pytest.CaptureFixture[str]) -> None:
        with Apart(dict(os.environ)) as process, pytest.raises(LocalError, match="ended without an answer"):
            process.call("operator:truediv", 1, 0)

        assert "ZeroDivisionError: division by zero" in capfd.readouterr().err

    def test_what_is_printed_in_it_is_no_answer(self, capfd: pytest.CaptureFixture[str]) -> None:
        with Apart(dict(os.environ)) as process:
            answer = process.call("builtins:print", "loud")

        assert answer is None
        assert "loud" in capfd.readouterr().err

    def test_takes_what_json_can_hold(self) -> None:
        with Apart(dict(os.environ)) as process:
            answer = process.call("json:dumps", {"a": [1, None, "字"]})

        assert json.loads(answer) == {"a": [1, None, "字"]}
