"""Checkpoints: everything a run needs to go on as if nothing had happened. No pickle: safetensors and JSON.

checkpoint/state.json            step, epoch, best loss, settings, digests
checkpoint/adapter.safetensors   the adapter's parameters, float32
checkpoint/optimizer.safetensors first and second moments
checkpoint/random.safetensors    the states of torch's generators
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes

from pipeline.errors import TrainError
from pipeline.files import recover_folder, replacing_folder, write_bytes_atomic
from simulator.private_files import read_text

FOLDER = "checkpoint"


@dataclass
class State:
    """Where a run stands. `step` counts optimizer steps; `micro` is the micro-batch that fits in memory.

    `precision` (bf16, fp32) and `processes` are what it computes with: a run that goes on does so with the same.
    `changes` says what it was given anew on the way.
    """

    step: int = 0
    micro: int = 0
    best_loss: float | None = None
    best_step: int = 0
    bad_validations: int = 0
    first_loss: float | None = None
    last_loss: float | None = None
    validations: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    identity: dict[str, Any] = field(default_factory=dict)
    precision: str = ""
    processes: int = 1
    changes: list[str] = field(default_factory=list)


def save(run: Path, state: State, adapters: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    """Writes the checkpoint whole or not at all; the former one stays until then. Raises LabError."""
    with replacing_folder(run / FOLDER) as folder:
        (folder / "adapter.safetensors").write_bytes(to_bytes(_plain(adapters)))
        moments = {
            f"{name}.{key}": value.detach().cpu().contiguous()
            for name, parameter in adapters.items()
            for key, value in optimizer.state[parameter].items()
        }
        (folder / "optimizer.safetensors").write_bytes(to_bytes(moments))
        (folder / "random.safetensors").write_bytes(to_bytes(random_states()))
        (folder / "state.json").write_text(json.dumps(asdict(state)), encoding="utf-8")


def load(run: Path, adapters: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> State:
    """Puts adapters, optimizer and generators back. Raises TrainError where the checkpoint is another run's."""
    state = peek(run)
    if state is None:
        raise TrainError(f"{run.name} has no checkpoint to go on from: start it again without --resume")
    try:
        weights, moments, random = (
            load_file(run / FOLDER / f"{name}.safetensors") for name in ("adapter", "optimizer", "random")
        )
    except (OSError, SafetensorError) as error:
        raise unreadable(run) from error
    if set(weights) != set(adapters):
        raise TrainError(f"the checkpoint of {run.name} belongs to another model: start again without --resume")
    if not {key.rpartition(".")[0] for key in moments} <= set(adapters) or "cpu" not in random:
        raise unreadable(run)
    with torch.no_grad():
        for name, parameter in adapters.items():
            parameter.copy_(weights[name])
    for key, value in moments.items():
        name, _, what = key.rpartition(".")
        optimizer.state[adapters[name]][what] = value.to(adapters[name].device)
    restore_random(random)
    return state


def unreadable(run: Path) -> TrainError:
    """The error for a checkpoint that is there and cannot be read."""
    return TrainError(
        f"the checkpoint of {run.name} cannot be read (damaged, or written by another version): it is left as it is; "
        "start anew without --resume"
    )


def peek(run: Path) -> State | None:
    """The checkpoint's state, or None where there is no whole checkpoint."""
    recover_folder(run / FOLDER)
    try:
        raw = json.loads(read_text(run / FOLDER / "state.json"))
        found = State(**{**raw, "validations": [(int(step), float(loss)) for step, loss in raw["validations"]]})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    whole = all(type(value) is int and value >= 0 for value in (found.step, found.micro, found.processes))
    return found if whole and isinstance(found.identity, dict) else None


def snapshot(adapters: dict[str, torch.nn.Parameter], target: Path) -> None:
    """The adapters' values alone, as the best so far. Raises LabError."""
    write_bytes_atomic(target, to_bytes(_plain(adapters)))


def restore_snapshot(adapters: dict[str, torch.nn.Parameter], source: Path) -> None:
    """Puts the values of `snapshot` back."""
    weights = load_file(source)
    with torch.no_grad():
        for name, parameter in adapters.items():
            parameter.copy_(weights[name])


def _plain(adapters: dict[str, torch.nn.Parameter]) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().cpu().contiguous() for name, parameter in adapters.items()}


def random_states() -> dict[str, torch.Tensor]:
    """The states of torch's generators, by device."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def restore_random(states: dict[str, torch.Tensor]) -> None:
    """Puts the states of `random_states` back."""
    torch.set_rng_state(states["cpu"])
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            if f"cuda{i}" in states:
                torch.cuda.set_rng_state(states[f"cuda{i}"], i)
