"""What the loop asks of each stage: the quick loop's sizes fit two CPU cores and eight minutes."""

from __future__ import annotations

from typing import Any

from pipeline.loop.params import LoopParams


def stage_params(step: str, params: LoopParams) -> dict[str, Any]:
    """The parameters of that step's stage."""
    sizes = _QUICK if params.quick else _FULL
    shared = {
        "data": {"seed": params.seed},
        "train": {"seed": params.seed, "base": params.base},
        "eval": {"base": params.base},
        "install": {"force": True},
    }
    return {**shared.get(step, {}), **sizes.get(step, {})}


_QUICK: dict[str, dict[str, Any]] = {
    "data": {"recipe": "quick"},
    "train": {"recipe": "smollm2-quick"},
    "eval": {"questions": 40, "kinds": ["phase_identification"], "extrapolation": False},
}
_FULL: dict[str, dict[str, Any]] = {"train": {"recipe": "smollm2"}}
