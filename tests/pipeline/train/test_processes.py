"""Several processes train as one: the same steps, to the last digit that addition order leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pipeline.lab import Lab

ROOT = Path(__file__).resolve().parents[3]


PARAMS = {
    "recipe": "smollm2-quick",
    "precision": "fp32",
    "threads": 1,
    "per_device_train_batch_size": 2,
    "max_steps": 5,
}
LAUNCHER = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
WORKER = ["-m", "pipeline.train.worker"]


def train(start: list[str], lab: Lab, base: Path, name: str, **more: object) -> tuple[list[float], str]:
    """The curve of five steps, started as `start` says, and what the worker wrote on its stdout."""
    folder = lab.root / name
    folder.mkdir()
    params = json.dumps({**PARAMS, "base": str(base), **more})
    command = [sys.executable, *start, "--lab", str(lab.root), "--folder", str(folder), "--params", params]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300, text=True)
    curve = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in curve], done.stdout


@pytest.fixture(scope="module")
def base(tiny_files: Callable[[str, str], Path]) -> Path:
    return tiny_files("llama", "gguf")


def test_two_processes_equal_twice_the_accumulation(data_lab: Lab, base: Path) -> None:
    alone, _ = train(WORKER, data_lab, base, "alone", gradient_accumulation_steps=2)
    together, _ = train([*LAUNCHER, *WORKER], data_lab, base, "together", gradient_accumulation_steps=1)
    assert len(alone) == 5
    assert together == pytest.approx(alone, rel=1e-5)
    assert (data_lab.adapter_dir / "adapter_model.safetensors").is_file()


def test_memory_that_runs_out_in_one_process_halves_all(data_lab: Lab, base: Path) -> None:
    start = [*LAUNCHER, str(Path(__file__).with_name("scarce_rank.py"))]
    plenty, _ = train([*LAUNCHER, *WORKER], data_lab, base, "plenty", gradient_accumulation_steps=1)
    scarce, said = train(start, data_lab, base, "scarce", gradient_accumulation_steps=1)
    assert "memory ran out with 2 samples at a time: going on with 1" in said
    assert scarce == pytest.approx(plenty, rel=1e-5)


def test_the_events_of_several_gpus_reach_the_stage(data_lab: Lab, base: Path) -> None:
    """The worker replaces itself by the launcher, and its events still go where they went."""
    two = "import sys, torch; torch.cuda.device_count = lambda: 2; from pipeline.train import worker; worker.main()"
    _, said = train(["-c", two], data_lab, base, "gpus", gradient_accumulation_steps=1)
    events = [json.loads(line) for line in said.splitlines()]
    assert events[-1]["event"] == "result" and sum(event["event"] == "metric" for event in events) >= 5


def test_a_killed_launcher_takes_its_processes_along(data_lab: Lab, base: Path) -> None:
    """Each has a session of its own, which a kill of the job's process group does not reach."""
    folder = data_lab.root / "killed"
    folder.mkdir()
    params = json.dumps({**PARAMS, "base": str(base), "max_steps": -1, "num_train_epochs": 1000})
    command = [sys.executable, *LAUNCHER, *WORKER, "--lab", str(data_lab.root), "--folder", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    with (folder / "log").open("wb") as log:
        launcher = subprocess.Popen([*command, "--params", params], env=environment, stdout=log, stderr=log)
    ends = time.monotonic() + 120
    while not (folder / "metrics.jsonl").exists() and time.monotonic() < ends:
        time.sleep(0.2)
    workers = [child for child in psutil.Process(launcher.pid).children() if "pipeline.train.worker" in child.cmdline()]
    launcher.kill()
    launcher.wait()
    assert len(workers) == 2 and psutil.wait_procs(workers, timeout=5)[1] == []
