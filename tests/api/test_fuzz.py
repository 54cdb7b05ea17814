"""Both hosts against their own contracts: whatever is sent, as whomever, no failure of ours and no undocumented answer.

Bounded: some examples of each operation, each sent as a stranger, a buyer, the shop's owner and the main station.
The seed is fixed, so that a failure is found again; `FUZZ_EXAMPLES=500` looks further.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
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

from tests.api.conftest import a_token, host_of
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
    """One host, who asks it, and what is really there: values for the places in its addresses."""

    schema: Any
    base: str
    roles: list[Role]
    real: dict[str, list[str]]


@pytest.fixture(scope="module")
def market_place(prepared: None, shop: Any, account: Any) -> dict[str, Any]:
    """Something of everything: goods, an order, a signup, tokens."""
    from kameng.accounts.tokens import MAIN_SCOPES, SHOP_SCOPES
    from kameng.db.context import in_main
    from tenants import signup

    with in_main():
        goods = market.make_goods(codes=50)
    market.stock_shelves(shop)
    placed = _placed(shop, goods)
    begun = signup.begin(
        name="Night Market", slug=f"fuzz-{market.public_id('x')[2:8].lower()}", plan_code="basic",
        email="nina@example.com", password="correct horse battery staple",
    )  # fmt: skip
    return {
        "goods": goods, "order": placed, "signup": begun, "owner": a_token(SHOP_SCOPES, shop),
        "main": a_token(MAIN_SCOPES),
    }  # fmt: skip


def _placed(shop: Any, goods: market.Goods) -> Any:
    from kameng.db.context import in_substation
    from kameng.lib import clock

    with in_substation(shop):
        return market.place(goods, now=clock.utc_now())


@pytest.fixture(scope="module")
def stages(market_place: dict[str, Any], shop: Any) -> dict[str, Stage]:
    from kameng.wsgi import application

    goods, placed, begun = market_place["goods"], market_place["order"], market_place["signup"]
    roles = [
        Role("stranger", {}),
        Role("buyer", {"X-Order-Token": placed.token, "X-Signup-Token": begun.token}),
        Role("owner", {"Authorization": f"Bearer {market_place['owner']}"}),
        Role("main station", {"Authorization": f"Bearer {market_place['main']}"}),
    ]
    real = {
        "code": [goods.code], "number": [placed.number], "public_id": [shop.public_id, begun.signup.public_id],
        "slug": ["cards", goods.code.lower().replace("sku", "card")],
    }  # fmt: skip
    found = {}
    for name, host in (("main", "localhost"), ("shop", host_of(shop))):
        schema = schemathesis.openapi.from_dict(contracts()[name].document())
        schema.app = application
        found[name] = Stage(schema, f"http://{host}", roles, real)
    return found


@pytest.fixture
def _no_log() -> Iterator[None]:
    yield


class TestWhateverIsSent:
    @pytest.mark.parametrize("operation_id", operation_ids("main"))
    def test_the_main_station_answers_as_documented(self, stages: dict[str, Stage], operation_id: str) -> None:
        _try(stages["main"], operation_id)

    @pytest.mark.parametrize("operation_id", operation_ids("shop"))
    def test_a_shop_answers_as_documented(
        self, stages: dict[str, Stage], channel: Any, operation_id: str
    ) -> None:
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
    @given(case=cases, real=st.booleans(), pick=st.integers(0, 1))
    def attempt(case: Any, real: bool, pick: int) -> None:
        if real:  # Mostly, what is asked for should be there, or no answer but 404 is ever seen.
            for place in case.path_parameters or {}:
                choices = stage.real[place]
                case.path_parameters[place] = choices[pick % len(choices)]
        for role in stage.roles:
            response = case.call(base_url=stage.base, headers=role.headers)
            case.validate_response(response, checks=CHECKS, headers=role.headers)

    attempt()
