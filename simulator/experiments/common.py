"""What the experiments share: ids, the shape of an answer, and the notebook."""

from __future__ import annotations

from typing import Any

from simulator.batch import experiment_id
from simulator.events import Result
from simulator.fingerprint import PHYSICS_VERSION
from simulator.notebook import Notebook
from simulator.params import Params


def answer(experiment: str, params: Params, values: dict[str, Any]) -> dict[str, Any]:
    """`values` with the id, the parameters and the physics version that every result carries."""
    return {
        "experiment": experiment,
        "experiment_id": experiment_id(experiment, params),
        **values,
        "params": params.model_dump(),
        "physics_version": PHYSICS_VERSION,
    }


def finish(value: dict[str, Any], notebook: Notebook | None) -> Result:
    """Keeps the answer where there is a notebook, and ends the experiment with it."""
    if notebook is not None:
        notebook.put(value)
    return Result(value)


def tidy(value: float) -> float:
    """Nine decimals and no negative zero, as every stored number."""
    return round(float(value), 9) + 0.0
