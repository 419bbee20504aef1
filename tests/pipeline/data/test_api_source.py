"""`generate --api URL` gives the bytes that generating in process gives."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from pipeline.data.claims import Run
from pipeline.data.generate import run
from pipeline.data.params import GenerateParams
from pipeline.data.regions import PHASES
from pipeline.data.source import InProcess
from pipeline.errors import NetworkError
from pipeline.lab import Lab
from simulator.events import last_result

SMALL = {"n_per_phase": 1, "n_tri": 2, "n_discovery": 1, "n_replay_drift": 1, "extra": 8, "n_validation": 2}


@pytest.fixture
def url(tmp_path) -> Iterator[str]:
    """A Lab API on a free port of the loopback."""
    import socket

    import uvicorn

    from pipeline.api.server import create_app

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(create_app(Lab.at(tmp_path / "served")), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def test_the_same_through_the_api(url: str, lab: Lab) -> None:
    here = last_result(run(lab, GenerateParams(**SMALL)))
    there = last_result(run(lab, GenerateParams(**SMALL, api=url)))
    assert there["sha256"] == here["sha256"]


def test_helpers_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many runs are shared with worker processes; their numbers are those of this process alone."""
    runs = [
        Run("run_phase", {"phase_type": phase, "system_size": 8 + seed % 5, "depth": 3, "seed": seed})
        for seed in range(30)
        for phase in PHASES
    ]
    alone = list(InProcess().run(runs))
    monkeypatch.setattr("pipeline.data.source.MANY", 50)
    monkeypatch.setattr("pipeline.data.source.os.sched_getaffinity", lambda _: {0, 1, 2})
    with closing(InProcess()) as source:
        assert list(source.run(runs)) == alone
        helpers = list(source._helpers)
        assert len(helpers) == 2 and all(helper._process for helper in helpers)
    assert not any(helper._process for helper in helpers)


def test_no_server(lab: Lab) -> None:
    with pytest.raises(NetworkError, match="does not answer"):
        last_result(run(lab, GenerateParams(**SMALL, api="http://127.0.0.1:9")))
    assert not lab.data.exists()
