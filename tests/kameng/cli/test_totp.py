"""A terminal as an authenticator app."""

from __future__ import annotations

import pyotp
import pytest
import time_machine
from click.testing import CliRunner

from kameng import cli

KEY = "3ANE Y4Y4 PLZZ AGL5 NLTY P4JJ JVUN IA3L"  # As the page shows one.


@pytest.mark.parametrize("given", [[KEY], KEY.split(), [KEY.replace(" ", "").lower()]])
def test_shows_the_present_code_of_a_key_as_the_page_shows_it(given: list[str]) -> None:
    with time_machine.travel(1_800_000_010, tick=False):
        result = CliRunner().invoke(cli.main, ["totp", *given])

    assert result.output == f"{pyotp.TOTP(KEY.replace(' ', '')).at(1_800_000_010)}   for 20 seconds more\n"


def test_says_what_a_key_looks_like() -> None:
    result = CliRunner().invoke(cli.main, ["totp", "not-a-key!"])

    assert result.exit_code == 1
    assert "This is no key" in result.output
