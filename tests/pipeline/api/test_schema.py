"""schemathesis on the API's own OpenAPI document: no 500, no undocumented answer, no schema mismatch.

Pinned: schemathesis 4, 5 examples a route, seed 20261123.
"""

from __future__ import annotations

import pytest
import schemathesis
import schemathesis.specs.openapi.schemas  # loaded before any thread is: CPython 3.11's compiler shares its depth count
from hypothesis import HealthCheck, Phase, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from pipeline.api.server import create_app
from pipeline.api.work import Limits
from pipeline.lab import Lab

SEED = 20_261_123
EXAMPLES = 5
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory):
    """The app over an empty lab, with little time for each experiment: a sweep of any size ends in 504."""
    lab = Lab.at(tmp_path_factory.mktemp("lab"))
    app = create_app(lab, limits=Limits(answer_seconds=0.2, stream_seconds=0.2))
    return schemathesis.openapi.from_asgi("/openapi.json", app)


schema = schemathesis.pytest.from_fixture("api")


@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)
@schema.parametrize()
def test_api_keeps_its_own_contract(case: schemathesis.Case) -> None:
    # 503 and 504 are documented answers: a model that is not installed, and work that is stopped.
    response = case.call()
    checks = CHECKS if response.status_code not in (503, 504) else CHECKS[1:]
    case.validate_response(response, checks=checks)
