"""sweep: a grid of runs in parallel, each kept as it is done; a sweep that was stopped goes on where it was."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice, product
from typing import Any

import numpy as np

from simulator.batch import experiment_id
from simulator.events import Event, Progress
from simulator.experiments.common import answer, finish
from simulator.fingerprint import FEATURE_NAMES
from simulator.notebook import Notebook
from simulator.params import RunPhase
from simulator.pool import cluster_results, local_results
from simulator.study_params import Sweep

# Work of one chunk in units of size**3 sites: about a tenth of a second.
_CHUNK_WORK = 64 * 32**3
_LOOK_UP = 500


def run(params: Sweep, notebook: Notebook | None = None) -> Iterator[Event]:
    """Runs what the notebook does not hold yet; reports means and spreads of the features by phase.

    Progress counts runs of the whole grid. Results are written chunk by chunk, each in
    one transaction, so that a kill loses only chunks that were under way.
    """
    tally = _Tally()
    found = 0
    missing = 0
    for part in _parts(params):
        known = notebook.known(key for key, _ in part) if notebook else set()
        found += len(known)
        missing += len(part) - len(known)
        if notebook:
            for key in known:
                tally.add(notebook.get(key))
    yield Progress("sweep", found, params.total, f"{found} were done before" if found else "")
    done = found
    if missing:
        chunks = _chunks(params, notebook)
        workers = params.workers or len(os.sched_getaffinity(0))
        source = cluster_results(chunks, params.cluster) if params.cluster else local_results(chunks, workers)
        try:
            for results in source:
                if notebook:
                    notebook.put_many(results)
                for result in results:
                    tally.add(result)
                done += len(results)
                yield Progress("sweep", done, params.total)
        finally:
            source.close()
    yield finish(_answer(params, tally, found), notebook)


class _Tally:
    """Running sums of the features by phase: a sweep's memory does not grow with its size."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = defaultdict(int)
        self.sums: dict[str, Any] = defaultdict(lambda: np.zeros((2, len(FEATURE_NAMES))))

    def add(self, result: dict[str, Any]) -> None:
        values = np.array(result["feature_vector"])
        self.counts[result["phase_type"]] += 1
        self.sums[result["phase_type"]] += [values, values**2]

    def table(self) -> dict[str, Any]:
        """Mean and standard deviation of each feature in each phase."""
        rows: dict[str, Any] = {}
        for phase, count in sorted(self.counts.items()):
            mean, square = self.sums[phase] / count
            spread = np.sqrt(np.maximum(square - mean**2, 0.0))
            rows[phase] = {
                "runs": count,
                "mean": {name: round(float(value), 6) + 0.0 for name, value in zip(FEATURE_NAMES, mean, strict=True)},
                "std": {name: round(float(value), 6) + 0.0 for name, value in zip(FEATURE_NAMES, spread, strict=True)},
            }
        return rows


def _grid(params: Sweep) -> Iterator[tuple[str, dict[str, Any]]]:
    """Id and parameters of every run; runs of one phase, size and depth are neighbours."""
    seeds = range(params.first_seed, params.first_seed + params.seeds)
    for phase, size, depth, seed, bias in product(
        params.phases, params.system_sizes, params.depths, seeds, params.biases
    ):
        values = RunPhase(
            phase_type=phase, system_size=size, depth=depth, seed=seed, bias=bias, shots=params.shots
        ).model_dump()
        yield experiment_id("run_phase", values), values


def _parts(params: Sweep) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    grid = _grid(params)
    while part := list(islice(grid, _LOOK_UP)):
        yield part


def _chunks(params: Sweep, notebook: Notebook | None) -> Iterator[list[dict[str, Any]]]:
    """What is not in the notebook yet, looked up just before it is handed out, in pieces of equal work."""
    for part in _parts(params):
        known = notebook.known(key for key, _ in part) if notebook else set()
        chunk: list[dict[str, Any]] = []
        work = 0
        for key, values in part:
            if key in known:
                continue
            chunk.append(values)
            work += values["system_size"] ** 3
            if work >= _CHUNK_WORK:
                yield chunk
                chunk, work = [], 0
        if chunk:
            yield chunk


def _answer(params: Sweep, tally: _Tally, found: int) -> dict[str, Any]:
    return answer(
        "sweep",
        params,
        {
            "num_samples": params.total,
            "num_new": params.total - found,
            "num_known": found,
            "phases": tally.table(),
            "summary": (
                f"{params.total} runs: {len(params.phases)} phases, {len(params.system_sizes)} sizes, "
                f"{len(params.depths)} depths, {len(params.biases)} biases, {params.seeds} seeds; {found} were known."
            ),
        },
    )
