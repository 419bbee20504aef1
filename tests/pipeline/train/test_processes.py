"""Several processes train as one: the same steps, to the last digit that addition order leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.lab import Lab

ROOT = Path(__file__).resolve().parents[3]


def losses(lab: Lab, base: Path, processes: int, accumulation: int) -> list[float]:
    """The curve of five steps in so many processes, started as the worker starts itself for several GPUs."""
    folder = lab.root / f"run-{processes}"
    folder.mkdir()
    params = {
        "recipe": "smollm2-quick",
        "base": str(base),
        "precision": "fp32",
        "threads": 1,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": accumulation,
        "max_steps": 5,
    }
    start = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *start, "-m", "pipeline.train.worker", "--lab", str(lab.root)]
    command += ["--folder", str(folder), "--params", json.dumps(params)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_two_processes_equal_twice_the_accumulation(data_lab: Lab, tiny_files: Callable[[str, str], Path]) -> None:
    base = tiny_files("llama", "gguf")
    alone, together = losses(data_lab, base, 1, 2), losses(data_lab, base, 2, 1)
    assert len(alone) == 5
    assert together == pytest.approx(alone, rel=1e-5)
    assert (data_lab.adapter_dir / "adapter_model.safetensors").is_file()
