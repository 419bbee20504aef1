"""The results behind a set's dialogues: every run is made once, by the real simulator."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import simulator
from pipeline.data.claims import Run, quantity
from pipeline.evaluate.conversation.script import Pair
from simulator.events import last_result

Result = Mapping[str, Any]


class Results:
    """A cache that several threads share."""

    def __init__(self) -> None:
        self._known: dict[str, Result] = {}
        self._working = threading.Lock()

    def of(self, run: Run) -> Result:
        """Return the result of a run. Raises SimulatorError."""
        key = full_key(run)
        with self._working:
            if key not in self._known:
                self._known[key] = last_result(simulator.run(run.experiment, run.params))
            return self._known[key]

    def gap(self, pair: Pair) -> float:
        """Return by how many scales the feature of the second run exceeds the first run's."""
        first, second = (value_of(self.of(run), pair.feature) for run in (pair.first, pair.second))
        return (second - first) / float(simulator.FEATURE_SCALES.get(pair.feature, 1.0))


def full_key(run: Run) -> str:
    """Return the run's key with every default filled in. Raises SimulatorError if it is not a run."""
    if run.experiment not in simulator.EXPERIMENTS:  # a tool of another kind, such as the notebook
        return run.key
    checked = simulator.validate(simulator.EXPERIMENTS[run.experiment].params, run.params)
    return Run(run.experiment, checked.model_dump(mode="json")).key


def value_of(result: Result, name: str) -> float:
    """Return a feature, or a number of the result itself such as TRI."""
    return float(result["features"][name] if name in result.get("features", ()) else quantity(result, name))


def numbers_named(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of one level of a result by name."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
