"""Runs any experiment by name, as a stream of events or at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from simulator.catalogue import EXPERIMENTS, Experiment
from simulator.errors import UnknownName
from simulator.events import Event, Value, last_result
from simulator.validation import validate

if TYPE_CHECKING:
    from simulator.notebook import Notebook


def experiment_named(name: str) -> Experiment:
    """The catalogue's entry. Raises UnknownName."""
    found = EXPERIMENTS.get(name) if isinstance(name, str) else None
    if found is None:
        raise UnknownName(f"{str(name)[:60]!r} is not an experiment: choose one of {', '.join(EXPERIMENTS)}")
    return found


def run(name: str, params: Mapping[str, Any] | BaseModel, *, notebook: Notebook | None = None) -> Iterator[Event]:
    """The events of one experiment, the last a `Result`; with a notebook, the result is kept in it.

    Name and parameters are checked before the first event. Raises UnknownName,
    BadParameter, UnknownExperiment, MissingExtra or NotebookError.
    """
    experiment = experiment_named(name)
    checked = validate(experiment.params, params)
    module = import_module(f"simulator.experiments.{name}")
    events: Iterator[Event] = module.run(checked, notebook)
    return events


def run_now(name: str, notebook: Notebook | None = None, **params: Any) -> Value:
    """The result of one experiment. Raises what `run` raises."""
    return last_result(run(name, params, notebook=notebook))
