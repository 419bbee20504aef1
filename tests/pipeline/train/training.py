"""What tests of whole runs share: a small recipe, and what a run said and left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil

from pipeline.lab import Lab
from simulator.events import Event, Metric, Note

RECIPE: dict[str, Any] = {
    "recipe": "smollm2-quick",
    "precision": "fp32",
    "threads": 1,
    "per_device_train_batch_size": 4,
    "learning_rate": 0.01,
    "evals_per_epoch": 1,
    "checkpoint_seconds": 0,
}


def worker() -> psutil.Process:
    """The process that trains."""
    return next(p for p in psutil.Process().children(recursive=True) if "pipeline.train.worker" in words_of(p))


def words_of(process: psutil.Process) -> list[str]:
    """The command line of a process; nothing of one that has ended."""
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def notes(events: list[Event]) -> str:
    """What the run said."""
    return "\n".join(event.text for event in events if isinstance(event, Note))


def losses(events: list[Event]) -> dict[int, float]:
    """Loss by step; a step that was done again counts as it was last."""
    return {event.step: event.values["loss"] for event in events if isinstance(event, Metric)}


def only_run(lab: Lab) -> Path:
    """The lab's one run folder."""
    (folder,) = lab.runs.iterdir()
    return folder


def kill_now(now: bool) -> None:
    """kill -9 to the process that trains."""
    if now:
        worker().kill()
