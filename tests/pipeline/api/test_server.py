"""The Lab API as its clients see it: routes, errors, guards, limits, streams and stored results."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import simulator
from pipeline.api import guard
from pipeline.api.client import AsyncLabClient, LabClient
from pipeline.api.server import create_app, serve
from pipeline.api.work import Limits, Work, is_short
from pipeline.errors import BadInput, NetworkError
from pipeline.lab import Lab
from simulator.events import Failed, Progress, Result

BASE = "http://127.0.0.1:8000"
ISING = {"phase_type": "ising_symmetry_breaking", "system_size": 8, "depth": 3, "seed": 3, "bias": 0.7}


@pytest.fixture
def app(lab: Lab) -> Any:
    return create_app(lab)


@pytest.fixture
async def http(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, timeout=60) as client:
        yield client


async def test_the_six_routes_answer_as_existing_clients_call_them(http: httpx.AsyncClient) -> None:
    assert (await http.get("/")).json()["name"] == "Ben Lab API"
    assert (await http.get("/health")).json()["status"] == "ok"
    run = (await http.post("/run_phase_experiment", json=ISING)).json()
    assert run == simulator.run_now("run_phase", **ISING)
    tri = (await http.post("/tri", json=ISING)).json()
    assert {"forward_features", "reverse_features", "TRI", "experiment_id"} <= set(tri)
    body = {"phases": ["spt_cluster", "pseudorandom"], "num_per_phase": 5, "k": 2, "iterations": 10}
    found = (await http.post("/discovery", json=body)).json()
    assert found["num_samples"] == 10 and found["num_clusters"] == 2
    assert found["cluster_label_stats"] == [{"spt_cluster": 5}, {"pseudorandom": 5}]
    assert [row["purity"] for row in found["clusters"]] == [1.0, 1.0]
    drift = (await http.post("/replay_drift", json={**ISING, "depth": None})).json()
    assert drift["detail"][0]["loc"] == ["body", "depth"]
    body = {"phase_type": "spt_cluster", "system_size": 8, "base_depth": 2, "depth_factors": [1, 2]}
    drift = (await http.post("/replay_drift", json=body)).json()
    assert [row["depth"] for row in drift["runs"]] == [2, 4]
    echo = (await http.post("/echo", json={"phase_type": "spt_cluster", "system_size": 8})).json()
    assert 0 < echo["echo"] < 1


async def test_phases_have_short_names_here_too(http: httpx.AsyncClient) -> None:
    run = (await http.post("/run_phase_experiment", json={**ISING, "phase_type": "Ising"})).json()
    assert run == simulator.run_now("run_phase", **ISING)
    body = {"phases": ["random", "spt-cluster"], "num_per_phase": 5, "k": 2}
    found = (await http.post("/discovery", json=body)).json()
    assert found["params"]["phases"] == ["spt_cluster", "pseudorandom"]


async def test_all_unknown_fields_of_an_old_body_are_one_sentence(http: httpx.AsyncClient) -> None:
    extra = {f"field_{number}": number for number in range(9)}
    answer = await http.post("/run_phase_experiment", json={**ISING, "depth": 0, **extra})
    rows = answer.json()["detail"]
    assert answer.status_code == 422 and [row["loc"] for row in rows] == [["body", "depth"], ["body", "field_0"]]
    assert "'field_4' and 4 more are not parameters of run_phase: leave them out" in rows[1]["msg"]


async def test_results_are_kept_and_found_again(http: httpx.AsyncClient) -> None:
    run = (await http.post("/run_phase_experiment", json={**ISING, "bias": None})).json()
    assert run["params"]["bias"] == 0.65
    assert (await http.get(f"/experiments/{run['experiment_id']}")).json() == run
    missing = await http.get("/experiments/none")
    assert missing.status_code == 404 and "none" in missing.json()["detail"]


BAD_BODIES: list[tuple[bytes, int, str]] = [
    (b'{"phase_type": "spt_cluster", "system_size": 3}', 422, "system_size is 3, below the smallest, 4"),
    (b'{"phase_type": "spt_cluster", "system_size": "32"}', 422, "not a whole number"),
    (b'{"phase_type": "spt_cluster", "bias": NaN}', 422, "bias is nan"),
    (b'{"phase_type": "spt_cluster", "bias": 1e999}', 422, "bias is inf"),
    (b'{"phase_type": "spt_cluster", "seed": 123456789012345678901234567890123}', 422, "more than 30 digits"),
    (b'{"phase_type": "\\ud800"}', 422, "phase_type"),
    (b'{"phase_type": "spt_cluster", "\\ud800": 1}', 422, "send names and values"),
    (b'{"seed": 1}', 422, "phase_type is missing"),
    (b'{"phase_type": "spt_cluster", "layers": 2}', 422, "'layers' is not a parameter of run_phase"),
    (b'{"phase_type": "spt", "layers": 2, "backend": "gpu"}', 422, "'layers' and 'backend' are not parameters of"),
    (b'{"phase_type": "spt", "layers": 2, "backend": "gpu"}', 422, "leave them out, or use phase_type"),
    (b"{", 422, "not valid JSON"),
    (b"", 422, "send a JSON object"),
    (b"null", 422, "send names and values"),
    (b"[1]", 422, "send names and values"),
    (b'{"phase_type": "spt_cluster", "seed": ' + b"1" * 5000 + b"}", 422, "seed is inf"),
    (b"[" * 30_000, 422, "not valid JSON"),
    (b"\xff\xfe", 422, "not valid JSON"),
    (b" " * 300_000, 413, "262144"),
]


@pytest.mark.parametrize(("body", "status", "part"), BAD_BODIES)
async def test_bad_bodies(http: httpx.AsyncClient, body: bytes, status: int, part: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await http.post("/run_phase_experiment", content=body, headers=headers)
    assert answer.status_code == status
    assert part in answer.text
    assert all("\n" not in row["msg"] for row in answer.json()["detail"]) if status == 422 else True


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 400),
        ({"Host": "127.0.0.1.evil.example:8000"}, 400),
        ({"Host": "[::1"}, 400),
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:8001"}, 403),
        ({"Origin": BASE}, 200),
    ],
)
async def test_host_and_origin(http: httpx.AsyncClient, headers: dict[str, str], status: int) -> None:
    assert (await http.get("/health", headers=headers)).status_code == status


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_form_cannot_post(http: httpx.AsyncClient, kind: str) -> None:
    answer = await http.post("/tri", content=json.dumps(ISING), headers={"Content-Type": kind})
    assert answer.status_code == 415


async def test_no_cors(http: httpx.AsyncClient) -> None:
    answer = await http.options("/tri", headers={"Origin": BASE, "Access-Control-Request-Method": "POST"})
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_token_is_asked_of_every_request(lab: Lab) -> None:
    transport = httpx.ASGITransport(create_app(lab, "secret-secret-secret"))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        for path in ("/", "/health", "/docs", "/openapi.json", "/experiments/x"):
            assert (await client.get(path)).status_code == 401
        assert (await client.get("/health", headers={"Authorization": "Bearer wrong"})).status_code == 401
        good = {"Authorization": "Bearer secret-secret-secret"}
        assert (await client.get("/health", headers=good)).status_code == 200


@pytest.mark.parametrize("body", [{"cluster": "tcp://192.0.2.1:8786"}, {"cluster": None}, {"workers": 1}], ids=str)
@pytest.mark.parametrize("route", ["/sweep", "/sweep/stream"])
async def test_an_api_caller_cannot_name_a_cluster_or_workers(
    http: httpx.AsyncClient, route: str, body: dict[str, object]
) -> None:
    answer = await http.post(route, json=body)
    assert answer.status_code == 422 and "command line" in answer.text


async def test_no_route_takes_an_address_a_path_a_host_or_a_count_of_workers(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    requests = {
        route["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for route in document["paths"].values()
        if "post" in route
    }
    assert {"Sweep", "GenerateRequest"} <= requests
    for name in requests:
        fields = document["components"]["schemas"][name]["properties"]
        assert not {
            field for field in fields if re.search("cluster|worker|host|addr|url|path|file|folder|port$", field)
        }


async def test_too_long_and_too_many(lab: Lab) -> None:
    work = Limits(at_once=1, waiting=0, answer_seconds=0.5, stream_seconds=0.5)
    transport = httpx.ASGITransport(create_app(lab, limits=work))
    async with httpx.AsyncClient(transport=transport, base_url=BASE, timeout=60) as client:
        large = {"system_sizes": [256], "depths": [32], "seeds": 100}
        first = asyncio.create_task(client.post("/sweep", json=large))
        await asyncio.sleep(0.2)
        busy = await client.post("/tri", json=ISING)
        assert busy.status_code == 503 and busy.headers["Retry-After"]
        answer = await first
        assert answer.status_code == 504 and "longer than 0.5 s" in answer.json()["detail"]
        assert (await client.post("/tri", json=ISING)).status_code == 200


async def test_too_many_open_requests_are_refused_in_json(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_OPEN", 1)
    transport = httpx.ASGITransport(create_app(lab))
    async with httpx.AsyncClient(transport=transport, base_url=BASE, timeout=60) as client:
        first = asyncio.create_task(client.post("/sweep", json={"system_sizes": [8], "depths": [2], "seeds": 2}))
        await asyncio.sleep(0.1)
        refused = await client.get("/health")
        assert refused.status_code == 503 and refused.headers["Retry-After"]
        assert refused.json()["detail"].startswith("1 requests are open already")
        assert (await first).status_code == 200
        assert (await client.get("/health")).status_code == 200


async def test_sweep_streams_its_progress(lab: Lab) -> None:
    async with AsyncLabClient(transport=httpx.ASGITransport(create_app(lab))) as client:
        events = [event async for event in client.stream("sweep", {"system_sizes": [6], "depths": [2], "seeds": 5})]
    assert isinstance(events[0], Progress) and isinstance(events[-1], Result)
    assert events[-1].value["num_samples"] == 20
    async with AsyncLabClient(transport=httpx.ASGITransport(create_app(lab))) as client:
        events = [event async for event in client.stream("classify", {"experiment_id": "none"})]
    assert isinstance(events[-1], Failed) and "none" in events[-1].error


async def test_an_abandoned_stream_stops_its_work(lab: Lab) -> None:
    from simulator.study_params import Sweep

    work = Work(lab, Limits())
    queue, task = work.stream("sweep", Sweep(system_sizes=[64], depths=[16], seeds=2000))
    assert isinstance(await queue.get(), Progress)
    assert work.running == 1
    task.cancel()
    await asyncio.wait({task})
    assert work.running == 0


def test_what_may_run_in_a_thread_is_short() -> None:
    replay, discovery = (simulator.EXPERIMENTS[name].params for name in ("replay_drift", "discovery"))
    assert is_short("discovery", discovery())
    assert not is_short("discovery", discovery(system_size=256, depth=32, num_per_phase=100))
    assert is_short("replay_drift", replay(phase_type="spt_cluster"))
    long = replay(phase_type="spt_cluster", system_size=256, base_depth=32, depth_factors=[1, 32])
    assert not is_short("replay_drift", long)


async def test_generate_says_that_no_model_is_here(http: httpx.AsyncClient) -> None:
    for body in ({"prompt": "hello", "stream": False}, {"prompt": "hello"}):
        answer = await http.post("/api/generate", json=body)
        assert answer.status_code == 503 and "not installed" in answer.json()["detail"]
    for body in ({"prompt": ""}, {"prompt": "x", "model": "url:far"}, {"prompt": "x", "model": "../x"}, {}):
        assert (await http.post("/api/generate", json=body)).status_code == 422


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A real server in a process of its own."""
    port = free_port()
    root = tmp_path_factory.mktemp("served")
    code = (
        "from pathlib import Path; from pipeline.lab import Lab; from pipeline.api.server import serve\n"
        f"serve(Lab.at(Path({str(root)!r})), port={port})"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    assert process.wait(20) is not None


def test_client_against_a_real_server(served: str) -> None:
    with LabClient(served) as client:
        assert client.health()["status"] == "ok"
        result = client.run("tri", ISING)
        assert result == simulator.run_now("tri", **ISING)
        assert client.experiment(result["experiment_id"]) == result
        events = list(client.stream("discovery", {"num_per_phase": 5}))
        assert isinstance(events[-1], Result) and events[-1].value["num_samples"] == 20
        with pytest.raises(BadInput, match="depth is 0, below the smallest, 1"):
            client.run("run_phase", {**ISING, "depth": 0})
        with pytest.raises(BadInput, match="k is 6"):
            list(client.stream("discovery", {"phases": ["spt_cluster"], "num_per_phase": 5, "k": 6}))
        with pytest.raises(BadInput, match="not an experiment"):
            client.run("tree", {})
        with pytest.raises(BadInput, match="cannot be sent as JSON"):
            client.run("tri", {**ISING, "bias": float("nan")})
        with pytest.raises(BadInput, match="experiment_id is 'a b'"):
            client.experiment("a b")
        with pytest.raises(NetworkError, match="503: ben-lab is not installed"):
            client.generate("hello")


def test_requests_in_parallel_agree(served: str) -> None:
    answers: list[dict] = []

    def ask() -> None:
        with LabClient(served) as client:
            answers.append(client.run("run_phase", ISING))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 12 and all(answer == answers[0] for answer in answers)


def test_client_without_a_server() -> None:
    with LabClient(f"http://127.0.0.1:{free_port()}") as client, pytest.raises(NetworkError, match="benlab serve"):
        client.health()
    with pytest.raises(BadInput, match="no address of a lab"):
        LabClient("ftp://x")


def test_serving_elsewhere_needs_a_token(lab: Lab) -> None:
    with pytest.raises(BadInput, match="give --token"):
        serve(lab, host="0.0.0.0")
    with pytest.raises(BadInput, match="no address here"):
        serve(lab, host="no.such.host.invalid", token="x" * 16)


def test_a_taken_port_is_said_in_words(lab: Lab) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match="choose another --port"):
            serve(lab, port=taken.getsockname()[1])


async def test_a_broken_notebook_is_no_500(tmp_path: Path) -> None:
    lab = Lab.at(tmp_path / "lab")
    lab.database.write_bytes(b"this is no database " * 100)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(lab)), base_url=BASE) as client:
        for answer in (await client.post("/tri", json=ISING), await client.get("/experiments/x")):
            assert answer.status_code == 503 and "not a usable SQLite database" in answer.json()["detail"]


async def test_chat_takes_ollamas_form(http: httpx.AsyncClient) -> None:
    """Without a model the way in is named; what is wrong with the messages is a 422 with its field."""
    user = {"role": "user", "content": "hello"}
    answer = await http.post("/api/chat", json={"messages": [user], "stream": False})
    assert answer.status_code == 503 and "not installed" in answer.json()["detail"]
    for messages in ([], [{"role": "wizard", "content": "x"}], [user, {"role": "assistant", "content": "x"}], "hello"):
        refused = await http.post("/api/chat", json={"messages": messages})
        assert refused.status_code == 422 and "messages" in json.dumps(refused.json())
    assert (await http.post("/api/chat", json={"messages": [user], "tools": [{}]})).status_code == 422
