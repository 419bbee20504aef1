"""schemathesis on the API's own OpenAPI document: no 500, no undocumented answer, no schema mismatch.

Pinned: schemathesis 4, 5 examples a route, seed 20261123. The server is a process of its own: in CPython 3.11
`ast.parse`, by which hypothesis describes its strategies, fails when another thread or a garbage collection parses too.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import schemathesis
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

from pipeline.api.address import listen
from pipeline.api.server import serve
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


def _serve(folder: Path, port: Connection) -> None:
    """Serves an empty lab, with little time for each experiment: a sweep of any size ends in 504."""
    listener = listen(port=0)
    port.send(listener.getsockname()[1])
    serve(Lab.at(folder), listener=listener, limits=Limits(waiting_seconds=2, answer_seconds=0.2, stream_seconds=0.2))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.schemas.BaseSchema]:
    """The document of a server that runs, and the way to it."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe(duplex=False)
    server = spawn.Process(target=_serve, args=(tmp_path_factory.mktemp("lab"), there), daemon=False)
    server.start()
    gc.disable()
    try:
        assert here.poll(60), "the server did not start"
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{here.recv()}/openapi.json", wait_for_schema=30)
    finally:
        gc.enable()
        server.terminate()
        server.join(10)


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
    # Documented answers that schemathesis does not expect: 503 for a model that is not installed, 504 for work that
    # is stopped, and 413, which rejects an invalid body that is too large before it is validated.
    passed_over = {503: not_a_server_error, 504: not_a_server_error, 413: negative_data_rejection}
    response = case.call()
    case.validate_response(response, checks=[c for c in CHECKS if c is not passed_over.get(response.status_code)])
