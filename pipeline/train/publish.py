"""What a run leaves: the adapter's folder with config, tokenizer, model card and manifest."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import time
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from pipeline.bases.base import Base
from pipeline.data.writer import read_manifest
from pipeline.errors import TrainError
from pipeline.files import replacing_folder
from pipeline.lab import Lab
from pipeline.train.checkpoint import State
from pipeline.train.owner import owner
from pipeline.train.params import Recipe

FINISHED = "finished"
"""The folder of a run's adapter until it is published."""
_PACKAGES = ("torch", "transformers", "peft", "accelerate", "tokenizers", "benlab")


def manifest(base: Base, recipe: Recipe, state: State, facts: dict[str, Any]) -> dict[str, Any]:
    """Where an adapter comes from: base digest, data digest, physics version, recipe, seed, losses, versions."""
    return {
        "base": {"name": base.name, "sha256": base.sha256, "kind": base.kind, "source": base.source},
        "recipe": recipe.model_dump(),
        "losses": {
            "first": state.first_loss,
            "last": state.last_loss,
            "validations": [{"step": step, "loss": loss} for step, loss in state.validations],
            "best_validation": state.best_loss,
            "kept_step": state.best_step or state.step,
        },
        "changes": state.changes,
        "steps": state.step,
        "seconds": round(state.seconds, 1),
        "versions": {name: _version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        **facts,
    }


def write_adapter(folder: Path, model: Any, tokenizer: Any, facts: dict[str, Any]) -> None:
    """Writes the adapter's folder whole or not at all. Raises LabError."""
    with replacing_folder(folder) as fresh:
        try:
            # Embeddings are never trained; asking peft to look would make it ask the hub.
            model.save_pretrained(fresh, safe_serialization=True, save_embedding_layers=False)
        except SafetensorError as error:  # a full disk, in Rust's words
            raise OSError(str(error)) from error
        tokenizer.save_pretrained(fresh)
        (fresh / "manifest.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (fresh / "README.md").write_text(_card(facts), encoding="utf-8")


def publish(lab: Lab, run: Path, target: Path) -> None:
    """Puts a copy of a run's `FINISHED` adapter in the target's place, in one rename, and then names it `adapter`.

    A run without `adapter` has not ended: one that was killed or found the disk full in between is taken up again.
    What stands in the target's place goes back to its own run's folder first, where that has lost its copy. Raises
    LabError, and TrainError where the place was taken by something else meanwhile: the run then keeps its adapter.
    """
    former, own = owner(target), run / "adapter"
    if former is None and _holds_something(target):
        (run / FINISHED).rename(own)
        raise TrainError(
            f"{target} was filled by something else while the training ran: the adapter is {own}, copy it where you "
            "want it"
        )
    if former and Path(former).name == former != run.name and not (lab.runs / former / "adapter").exists():
        _copy(target, lab.runs / former / "adapter")
    _copy(run / FINISHED, target)
    (run / FINISHED).rename(own)


def _holds_something(target: Path) -> bool:
    return target.is_file() or (target.is_dir() and any(target.iterdir()))


def _copy(source: Path, target: Path) -> None:
    with replacing_folder(target) as fresh:
        for file in source.iterdir():
            shutil.copyfile(file, fresh / file.name)


def physics_version(lab: Lab, data: Path) -> str:
    """The version that the data's own manifest names, else the simulator's."""
    try:
        return str(read_manifest(data)["physics_version"])
    except KeyError:
        from simulator import PHYSICS_VERSION

        return PHYSICS_VERSION


def tool_names(data: Path) -> list[str]:
    """Return the tools that the data's line of tools names, as its manifest lists them."""
    names = read_manifest(data).get("tools")
    return [str(name) for name in names] if isinstance(names, list) else []


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _card(facts: dict[str, Any]) -> str:
    base, recipe, losses = facts["base"], facts["recipe"], facts["losses"]
    best = f"{losses['best_validation']:.4f}" if losses["best_validation"] is not None else "not measured"
    return f"""---
base_model: {base["name"]}
library_name: peft
tags: [lora, ben-lab]
---

# ben-lab

A LoRA adapter (rank {recipe["lora_r"]}, alpha {recipe["lora_alpha"]}) for **{base["name"]}**, trained by Ben Lab on
{facts["data"]["samples"]} samples of quantum-phase experiments.

- base sha256 `{base["sha256"]}`
- data sha256 `{facts["data_sha256"]}`, physics version `{facts["physics_version"]}`
- run `{facts["run"]}`, seed {facts["seed"]}, {facts["steps"]} steps
- validation loss {best}

Install it with `benlab install`. `manifest.json` holds every parameter of the run.
"""
