"""The quantum lab: exact simulation of four phases, no screen, no language model.

    import simulator

    simulator.run_now("run_phase", phase_type="spt_cluster", seed=3)["features"]

Importing it costs no numpy: names are loaded when first used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.batch import measure, run_many
    from simulator.catalogue import EXPERIMENTS, Experiment
    from simulator.errors import (
        BadParameter,
        MissingExtra,
        NotebookError,
        SimulatorError,
        UnknownExperiment,
        UnknownName,
    )
    from simulator.fingerprint import FEATURE_NAMES, FEATURE_SCALES, FEATURE_UNITS, PHYSICS_VERSION, distance
    from simulator.notebook import Notebook
    from simulator.params import PHASES
    from simulator.runner import run, run_now
    from simulator.validation import validate

_HOMES = {
    "measure": "batch",
    "run_many": "batch",
    "EXPERIMENTS": "catalogue",
    "Experiment": "catalogue",
    "BadParameter": "errors",
    "MissingExtra": "errors",
    "NotebookError": "errors",
    "SimulatorError": "errors",
    "UnknownExperiment": "errors",
    "UnknownName": "errors",
    "FEATURE_NAMES": "fingerprint",
    "FEATURE_SCALES": "fingerprint",
    "FEATURE_UNITS": "fingerprint",
    "PHYSICS_VERSION": "fingerprint",
    "distance": "fingerprint",
    "Notebook": "notebook",
    "PHASES": "params",
    "run": "runner",
    "run_now": "runner",
    "validate": "validation",
}

__all__ = [
    "EXPERIMENTS",
    "FEATURE_NAMES",
    "FEATURE_SCALES",
    "FEATURE_UNITS",
    "PHASES",
    "PHYSICS_VERSION",
    "BadParameter",
    "Experiment",
    "MissingExtra",
    "Notebook",
    "NotebookError",
    "SimulatorError",
    "UnknownExperiment",
    "UnknownName",
    "distance",
    "measure",
    "run",
    "run_many",
    "run_now",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'simulator' has no attribute {name!r}")
    value = getattr(import_module(f"simulator.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
