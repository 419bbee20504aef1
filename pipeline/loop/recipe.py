"""What the loop asks of each stage: a TOML file with a table a stage."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import simulator
from pipeline.errors import BadInput
from pipeline.loop.params import LoopParams
from pipeline.stages import stage
from simulator.errors import BadParameter
from simulator.private_files import read_text

_STAGES = {"data": "generate", "train": "train", "eval": "eval", "export": "export", "install": "install"}


def stage_params(params: LoopParams) -> dict[str, BaseModel]:
    """The checked parameters of every stage, before any of them starts.

    The recipe wins over what the loop's own options say. Raises BadInput.
    """
    given = _read(params.recipe or ("quick" if params.quick else "full"))
    shared: dict[str, dict[str, Any]] = {
        "data": {"seed": params.seed},
        "train": {"seed": params.seed, "base": params.base},
        "install": {"force": True},
    }
    checked = {}
    for name, stage_name in _STAGES.items():
        values = {**shared.get(name, {}), **given.get(name, {})}
        try:
            checked[name] = simulator.validate(stage(stage_name).params_model(), values)
        except BadParameter as error:
            raise BadInput(f"in the loop's recipe, [{name}]: {error}") from error
    return checked


def _read(name: str) -> dict[str, dict[str, Any]]:
    """The recipe quick, full, or a .toml file. Raises BadInput."""
    if name in ("quick", "full"):
        text = files("pipeline.loop").joinpath("recipes", f"{name}.toml").read_text(encoding="utf-8")
    else:
        try:
            text = read_text(Path(name))
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(
                f"the loop's recipe {name!r} cannot be read ({error}): use quick, full or a TOML file"
            ) from error
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the loop's recipe {name!r} is not TOML ({error}): mend that line") from error
    for key, table in tables.items():
        if key not in _STAGES or not isinstance(table, dict):
            raise BadInput(
                f"{key!r} is not a table of a loop's recipe: use {', '.join(f'[{known}]' for known in _STAGES)}"
            )
    return tables
