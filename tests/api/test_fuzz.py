"""Both hosts against their own contracts: whatever is sent, as whomever, no failure of ours and no undocumented answer.

Bounded: some examples of each operation, each sent as a stranger, a buyer, the shop's owner and the main station.
The seed is fixed, so that a failure is found again; `FUZZ_EXAMPLES=500` looks further.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import a_token, host_of, some_goods
from tests.api.test_contract import contracts
from tests.tenant_apps import market

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "6"))
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip


def operation_ids(name: str) -> list[str]:
    paths = contracts()[name].document()["paths"].values()
    return sorted(operation["operationId"] for methods in paths for operation in methods.values())


@dataclass(frozen=True)
class Role:
    """Who asks: the headers that say so."""

    name: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Stage:
    """One host, who asks it, and what is really there: values by the names of places, query and body fields."""

    schema: Any
    base: str
    roles: list[Role]
    real: dict[str, list[Any]]

    def ground(self, case: Any, pick: int) -> None:
        """Ask for what is there, or little but 404 is ever seen."""
        case.path_parameters = self._grounded(case.path_parameters, pick)
        case.query = self._grounded(case.query, pick)
        case.body = self._grounded(case.body, pick)

    def _grounded(self, value: Any, pick: int) -> Any:
        if isinstance(value, list):
            return [self._grounded(item, pick) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            name: self.real[name][pick % len(self.real[name])]
            if name in self.real and isinstance(inner, type(self.real[name][0]))
            else self._grounded(inner, pick)
            for name, inner in value.items()
        }


@pytest.fixture(scope="module")
def stages(make_shop: Callable[..., Any], account: Any) -> dict[str, Stage]:
    """A shop of its own, which may end in any state, and something of everything: goods, an order, a signup, tokens."""
    from kameng.accounts.tokens import MAIN_SCOPES, SHOP_SCOPES
    from kameng.db.context import in_main, in_substation
    from kameng.lib import clock
    from kameng.wsgi import application
    from tenants import signup

    shop = make_shop(f"fuzz-shop-{market.public_id('x')[2:8].lower()}")
    with in_main():
        market.open_books(shop)
        goods, by_hand = some_goods(codes=5_000), some_goods(delivery="MANUAL")
    market.stock_shelves(shop)
    with in_substation(shop):
        placed = market.place(goods, now=clock.utc_now())
    begun = signup.begin(
        name="Night Market", slug=f"fuzz-{market.public_id('x')[2:8].lower()}", plan_code="basic",
        email="nina@example.com", password="correct horse battery staple",
    )  # fmt: skip
    roles = [
        Role("stranger", {}),
        Role("buyer", {"X-Order-Token": placed.token, "X-Signup-Token": begun.token}),
        Role("owner", {"Authorization": f"Bearer {a_token(SHOP_SCOPES, shop)}"}),
        Role("main station", {"Authorization": f"Bearer {a_token(MAIN_SCOPES)}"}),
    ]
    slugs = ["cards", goods.code.lower().replace("sku", "card")]
    real: dict[str, list[Any]] = {
        "code": [goods.code, by_hand.code], "sku": [goods.code], "sku_id": [goods.sku_id, by_hand.sku_id],
        "number": [placed.number], "public_id": [begun.signup.public_id, shop.public_id], "slug": slugs,
        "product": [slugs[1]], "category": ["cards"], "plan": ["basic"], "contact": ["ann@example.com"],
        "channel_id": [account.public_id], "substation": [shop.slug], "email": ["nina@example.com"],
        "target_id": [goods.sku_id, 0],
    }  # fmt: skip
    found = {}
    for name, host in (("main", "localhost"), ("shop", host_of(shop))):
        schema = schemathesis.openapi.from_dict(contracts()[name].document())
        schema.app = application
        found[name] = Stage(schema, f"http://{host}", roles, real)
    return found


class TestWhateverIsSent:
    @pytest.mark.parametrize("operation_id", operation_ids("main"))
    def test_the_main_station_answers_as_documented(
        self, stages: dict[str, Stage], operation_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tenants import admission

        monkeypatch.setattr(
            admission, "check_proof", lambda **_: None
        )  # It would let nothing through to what is behind.
        _try(stages["main"], operation_id)

    @pytest.mark.parametrize("operation_id", operation_ids("shop"))
    def test_a_shop_answers_as_documented(self, stages: dict[str, Stage], channel: Any, operation_id: str) -> None:
        _try(stages["shop"], operation_id)


def _try(stage: Stage, operation_id: str) -> None:
    operation = stage.schema.find_operation_by_id(operation_id)
    cases = st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )

    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases, pick=st.integers(0, 3))
    def attempt(case: Any, pick: int) -> None:
        if pick < 3:
            stage.ground(case, pick)
        for role in stage.roles:
            response = case.call(base_url=stage.base, headers=role.headers)
            case.validate_response(response, checks=CHECKS, headers=role.headers)

    attempt()
