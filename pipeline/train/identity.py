"""What a training is made of, and whether a run that is to go on is still made of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pipeline.bases.base import Base
from pipeline.errors import DataError, TrainError
from pipeline.files import sha256_of
from pipeline.train import checkpoint
from pipeline.train.checkpoint import State
from pipeline.train.params import Recipe, TrainParams
from pipeline.train.settings import CHANGEABLE


def identity_of(base: Base, data: Path, held: Path | None, recipe: Recipe, seed: int, system: str) -> dict[str, Any]:
    """What a resumed run must have in common with the one it goes on with."""
    if not data.is_file():
        raise DataError(f"{data} is not there: run `benlab generate` first, or name a file with --data")
    # The base is known by its bytes, however it is called; what a run may change in the middle is no part of it.
    settings = recipe.model_dump(mode="json", exclude={"base", "checkpoint_seconds", *CHANGEABLE}, exclude_none=True)
    return {
        "base_sha256": base.sha256,
        "data_sha256": sha256_of(data),
        "validation_sha256": sha256_of(held) if held else "",
        "settings": settings,
        "changeable": {name: getattr(recipe, name) for name in CHANGEABLE},
        "seed": seed,
        "system_sha256": hashlib.sha256(system.encode()).hexdigest(),
    }


def check_resume(run: Path, params: TrainParams, identity: dict[str, Any]) -> None:
    """Raises TrainError where the run to go on with had another base, other data or other settings."""
    kept = checkpoint.peek(run) if params.resume else None
    if kept is None:
        if params.resume and (run / checkpoint.FOLDER / "state.json").exists():
            raise checkpoint.unreadable(run)
        return
    names = {
        "base_sha256": "base",
        "data_sha256": "data",
        "validation_sha256": "validation file",
        "seed": "seed",
        "system_sha256": "system prompt",
    }
    former, now = kept.identity.get("settings"), identity["settings"]
    if not isinstance(former, dict):
        raise TrainError(f"{run.name} was begun by an earlier version of Ben Lab: start anew without --resume")
    for name in sorted({*former, *now}):
        if former.get(name) != now.get(name):
            raise TrainError(
                f"{name} is {now.get(name)}, and {run.name} was started with {former.get(name)}: go on with the same, "
                f"or start anew without --resume; {' and '.join(CHANGEABLE)} may change"
            )
    other = [name for key, name in names.items() if kept.identity.get(key) != identity[key]]
    if other:
        raise TrainError(
            f"{run.name} was started with another {' and another '.join(other)}: "
            "go on with the same, or start anew without --resume"
        )


def changes(kept: State, identity: dict[str, Any]) -> list[str]:
    """What a run that goes on was given anew, a sentence each."""
    former, now = kept.identity.get("changeable", {}), identity["changeable"]
    return [
        f"from step {kept.step} on {name} is {now[name]}, it was {former[name]}"
        for name in CHANGEABLE
        if name in former and former[name] != now[name]
    ]
