"""Sweeps: every run once, kept as it is done, through kills and over a cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import simulator
from simulator.claims import Claims
from simulator.errors import BadParameter, SimulatorError
from simulator.events import Progress, Result
from simulator.pool import WorkerProcess, local_results

SMALL = {"system_sizes": [6], "depths": [2, 3], "seeds": 30, "workers": 2}


def test_sweep_equals_its_single_runs_and_is_kept(tmp_path: Path) -> None:
    with simulator.Notebook(tmp_path / "lab.db") as notebook:
        result = simulator.run_now("sweep", notebook, **SMALL)
        assert result["num_samples"] == result["num_new"] == 240
        assert notebook.count("run_phase") == 240
        one = simulator.run_now("run_phase", phase_type="pseudorandom", system_size=6, depth=3, seed=29)
        assert notebook.get(one["experiment_id"]) == one
        assert result["phases"]["spt_cluster"]["runs"] == 60


def test_a_run_is_never_made_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with simulator.Notebook(tmp_path / "lab.db") as notebook:
        first = simulator.run_now("sweep", notebook, **SMALL)
        # No worker can start from here on: nothing may be left to run.
        monkeypatch.setattr(sys, "executable", "/nonexistent")
        again = simulator.run_now("sweep", notebook, **SMALL)
        assert again["num_new"] == 0 and again["phases"] == first["phases"]


def test_two_sweeps_at_once_share_the_runs(tmp_path: Path) -> None:
    values = {"phases": ["spt_cluster"], "system_sizes": [20], "depths": [4], "seeds": 2000, "workers": 1}
    command = [sys.executable, "-m", "simulator", "sweep", "--lab", str(tmp_path), "--params", json.dumps(values)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    values_of = [json.loads(one.communicate(timeout=120)[0].splitlines()[-1]) for one in both]
    results = [value.get("value", value) for value in values_of]
    assert sum(result["num_new"] for result in results) == 2000
    assert all(result["phases"] == results[0]["phases"] for result in results)


def test_what_a_killed_sweep_had_claimed_is_free(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from simulator.claims import Claims;"
        "print(Claims(Path(sys.argv[1])).take('0123456789abcdef'), flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lab.db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout and holder.stdout.readline() == "True\n"
    claims = Claims(tmp_path / "lab.db")
    assert not claims.take("0123456789abcdef")
    holder.kill()
    holder.communicate()
    assert claims.take("0123456789abcdef")
    claims.close()


def test_closing_a_sweep_stops_its_workers(tmp_path: Path) -> None:
    with simulator.Notebook(tmp_path / "lab.db") as notebook:
        events = simulator.run("sweep", {**SMALL, "system_sizes": [24], "seeds": 400}, notebook=notebook)
        for event in events:
            if isinstance(event, Progress) and event.done:
                break
        events.close()  # type: ignore[attr-defined]
        kept = notebook.count("run_phase")
        assert 0 < kept < 3200
    assert not children_of(os.getpid())


def children_of(pid: int) -> list[int]:
    import psutil

    return [one.pid for one in psutil.Process(pid).children() if "simulator.worker" in " ".join(one.cmdline())]


def test_a_killed_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    values = {
        "phases": ["spt_cluster", "pseudorandom"],
        "system_sizes": [20],
        "depths": [4],
        "seeds": 1500,
        "workers": 2,
    }
    command = [sys.executable, "-m", "simulator", "sweep", "--lab", str(tmp_path), "--params", json.dumps(values)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    for line in process.stdout:
        if json.loads(line)["done"] > 100:
            break
    # Stopped first, so that it cannot come to its end while its workers are looked up.
    process.send_signal(signal.SIGSTOP)
    workers = children_of(process.pid)
    process.kill()
    process.wait()
    process.stdout.close()
    with simulator.Notebook(tmp_path / "lab.db") as notebook:
        before = notebook.count("run_phase")
        assert 100 < before < 3000
        result = simulator.run_now("sweep", notebook, **values)
        assert result["num_known"] == before and notebook.count("run_phase") == 3000
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workers and not any(alive(pid) for pid in workers)


def alive(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_dead_worker_is_replaced() -> None:
    chunk = [{"phase_type": "spt_cluster", "system_size": 6, "seed": seed} for seed in range(3)]
    worker = WorkerProcess()
    try:
        first = worker.measure(chunk)
        assert worker._process
        os.kill(worker._process.pid, signal.SIGKILL)
        assert worker.measure(chunk) == first == simulator.run_many(chunk)
    finally:
        worker.close()


def test_a_worker_that_always_dies_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SimulatorError, match="died 3 times on runs of 6 qubits"):
        list(local_results(iter([[{"phase_type": "spt_cluster", "system_size": 6}]]), 1))


def test_sigterm_cancels(tmp_path: Path) -> None:
    values = {**SMALL, "system_sizes": [24], "seeds": 2000}
    command = [sys.executable, "-m", "simulator", "sweep", "--lab", str(tmp_path), "--params", json.dumps(values)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()
    process.terminate()
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(rest.splitlines()[-1])["kind"] == "Interrupted"


def test_no_scheduler_is_said_in_words() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(BadParameter, match="no Dask scheduler answers"):
        simulator.run_now("sweep", **SMALL, cluster="tcp://127.0.0.1:9")


def test_a_cluster_survives_the_loss_of_a_worker(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    values = {**SMALL, "phases": ["spt_cluster"], "system_sizes": [16], "seeds": 1500}
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        simulator.Notebook(tmp_path / "lab.db") as notebook,
    ):
        events = simulator.run("sweep", {**values, "cluster": cluster.scheduler_address}, notebook=notebook)
        killed = False
        result: dict = {}
        for event in events:
            if isinstance(event, Progress) and event.done and not killed:
                victim = next(iter(cluster.workers.values()))
                os.kill(victim.pid, signal.SIGKILL)
                killed = True
            if isinstance(event, Result):
                result = event.value
        assert killed and result["num_samples"] == 3000
        assert notebook.count("run_phase") == 3000
