"""run_phase: one circuit in one phase."""

from __future__ import annotations

from collections.abc import Iterator

from simulator.batch import Run, measure_runs, phase_result
from simulator.events import Event
from simulator.experiments.common import finish
from simulator.notebook import Notebook
from simulator.params import RunPhase


def run(params: RunPhase, notebook: Notebook | None = None) -> Iterator[Event]:
    """Thirteen features and the middle cut's entropy after each layer."""
    yield finish(phase_result(params, measure_runs([Run.of(params)])[0]), notebook)
