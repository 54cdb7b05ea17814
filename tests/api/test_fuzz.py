"""Both hosts against their own contracts: whatever is sent, as whomever, no failure of ours and no undocumented answer.

Every operation, found in the document, is asked by a stranger, a buyer, the shop's owner and the main station. Valid
data must be answered as documented, data that breaks the contract must be refused, and so must a method or a content
type that is not there. Twice: the boundaries of every parameter, counted out, and examples drawn at random.

Bounded, with a fixed seed, so that a failure is found again. `FUZZ_EXAMPLES=200` looks further, `FUZZ_SEED=7` elsewhere;
see docs/api.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.api.conformance import operation_at
from tests.api.stage import Asker, Stage, set_up
from tests.api.test_every_operation import operation_ids

SEED = int(os.environ.get("FUZZ_SEED", "20261125"))
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
DEEP = "FUZZ_EXAMPLES" in os.environ
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, negative_data_rejection, missing_required_header, unsupported_method,
]  # fmt: skip
# Data against the contract may be refused for what comes before it (who asks, what is there), and for its size.
REFUSALS = ["400", "401", "403", "404", "405", "409", "413", "415", "422", "429"]


@pytest.fixture(scope="module")
def stage(make_shop: Callable[..., Any], account: Any) -> Stage:
    return set_up(make_shop, account)


@pytest.fixture(scope="module")
def schemas(prepared: None) -> dict[str, Any]:
    """The two documents, as schemathesis reads them; calls go straight to the application."""
    from kameng.wsgi import application
    from tests.api.conformance import contracts

    found = {}
    for name, contract in contracts().items():
        schema = schemathesis.openapi.from_dict(contract.document())
        schema.app = application
        schema.config.checks.negative_data_rejection.expected_statuses = REFUSALS
        schema.config.checks.missing_required_header.expected_statuses = REFUSALS
        found[name] = schema
    return found


@pytest.fixture(autouse=True)
def _open_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof of work would let nothing through to what is behind it."""
    from tenants import admission

    monkeypatch.setattr(admission, "check_proof", lambda **_: None)


class TestTheMainStation:
    @pytest.mark.parametrize("operation_id", sorted(operation_ids("main")))
    def test_answers_as_documented_at_the_boundaries(
        self, schemas: dict[str, Any], stage: Stage, operation_id: str
    ) -> None:
        _at_boundaries(schemas["main"], stage, "localhost", operation_id)

    @pytest.mark.parametrize("operation_id", sorted(operation_ids("main")))
    def test_answers_as_documented_whatever_is_sent(
        self, schemas: dict[str, Any], stage: Stage, operation_id: str
    ) -> None:
        _at_random(schemas["main"], stage, "localhost", operation_id)


class TestAShop:
    @pytest.mark.parametrize("operation_id", sorted(operation_ids("shop")))
    def test_answers_as_documented_at_the_boundaries(
        self, schemas: dict[str, Any], stage: Stage, channel: Any, operation_id: str
    ) -> None:
        _at_boundaries(schemas["shop"], stage, stage.shop_host, operation_id)

    @pytest.mark.parametrize("operation_id", sorted(operation_ids("shop")))
    def test_answers_as_documented_whatever_is_sent(
        self, schemas: dict[str, Any], stage: Stage, channel: Any, operation_id: str
    ) -> None:
        _at_random(schemas["shop"], stage, stage.shop_host, operation_id)


def _at_boundaries(schema: Any, stage: Stage, host: str, operation_id: str) -> None:
    """Each boundary of each parameter, by whom the operation is for; by everybody when looking further."""
    operation = schema.find_operation_by_id(operation_id)
    config = schema.config.generation_for(operation=operation, phase="coverage")
    cases = schema.iter_coverage_cases(operation, generation_modes=list(GenerationMode), generation_config=config)
    askers = stage.askers if DEEP else [stage.entitled(operation_id)]
    for number, case in enumerate(cases):
        _ground(stage, operation_id, case, number)
        for asker in askers:
            _ask(case, host, asker, number)


def _at_random(schema: Any, stage: Stage, host: str, operation_id: str) -> None:
    """Examples that keep the contract and examples that break it, each by everybody."""
    operation = schema.find_operation_by_id(operation_id)
    cases = st.one_of(*[operation.as_strategy(generation_mode=mode) for mode in GenerationMode])

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases, pick=st.integers(0, 5))
    def attempt(case: Any, pick: int) -> None:
        if pick:  # Else as it was drawn: about what is not there.
            _ground(stage, operation_id, case, pick)
        for asker in stage.askers:
            _ask(case, host, asker, pick)

    attempt()


def _ground(stage: Stage, operation_id: str, case: Any, pick: int) -> None:
    """Ask about what is really there, or little but 404 is ever seen. What was broken on purpose stays broken."""
    parts = (
        ("path_parameters", ParameterLocation.PATH), ("query", ParameterLocation.QUERY), ("body", ParameterLocation.BODY)
    )  # fmt: skip
    for name, location in parts:
        drawn = getattr(case, name)
        real = drawn if case.meta.is_negative_at(location) else stage.grounded(operation_id, drawn, pick)
        if real != drawn:
            setattr(case, name, real)


def _ask(case: Any, host: str, asker: Asker, pick: int) -> None:
    name = "main" if host == "localhost" else "shop"
    found = operation_at(name, case.method, case.formatted_path.removeprefix("/api/v1/"))
    if found is not None and found["operationId"] != case.operation.definition.raw["operationId"]:
        return  # `signups/challenge/` drawn as `signups/{public_id}/`: OpenAPI gives the concrete address precedence.
    headers = asker.headers(pick)
    response = case.call(base_url=f"http://{host}", headers=headers)
    case.validate_response(response, checks=CHECKS, headers=headers)
