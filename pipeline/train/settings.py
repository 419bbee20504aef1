"""train.json in a run's folder: what the run is made with, so that it can go on whatever has changed around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.bases.catalogue import find_entry
from pipeline.data.paths import given_path
from pipeline.errors import TrainError
from pipeline.files import write_text_atomic
from pipeline.train.params import Recipe, TrainParams
from simulator.private_files import read_text

SETTINGS = "train.json"
CHANGEABLE = ("learning_rate", "max_grad_norm")
"""What a run that goes on may be given anew: where a loss was no number, going on as before would end there again."""


def keep(folder: Path, params: TrainParams, recipe: Recipe) -> None:
    """Writes a new run's settings in values and whole paths: recipes change, and so does the working folder."""
    given = params.model_dump(mode="json", exclude_unset=True)
    for name in ("data", "out"):
        if path := getattr(params, name):
            given[name] = str(given_path(path).absolute())
    base = params.base or recipe.base
    if not find_entry(base) and given_path(base).exists():
        given["base"] = str(given_path(base).absolute())
    _write(folder, {**recipe.model_dump(mode="json", exclude_none=True), **given, "recipe": params.recipe_name})


def read(folder: Path) -> dict[str, Any]:
    """A run's settings, as TrainParams takes them. Raises TrainError where they cannot be read."""
    try:
        found: dict[str, Any] = json.loads(read_text(folder / SETTINGS))
        TrainParams.model_validate(found)
    except (OSError, ValueError, RecursionError) as error:  # JSON, UTF-8 and pydantic all raise a ValueError
        raise TrainError(
            f"runs/{folder.name}/{SETTINGS} cannot be read (damaged, or written by another version): name another run "
            "with resume_run, or start anew without resume"
        ) from error
    return found


def change(folder: Path, recipe: Recipe) -> None:
    """Keeps what a run that goes on was given anew, for the next time that it goes on."""
    if (folder / SETTINGS).is_file():
        _write(folder, read(folder) | {name: getattr(recipe, name) for name in CHANGEABLE})


def _write(folder: Path, settings: dict[str, Any]) -> None:
    write_text_atomic(folder / SETTINGS, json.dumps(settings))
