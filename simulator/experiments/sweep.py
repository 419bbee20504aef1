"""sweep: a grid of runs in parallel, each kept as it is done; a sweep that was stopped goes on where it was."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, product
from typing import Any

import numpy as np

from simulator.batch import experiment_id
from simulator.claims import Claims
from simulator.cost import duration
from simulator.editions import refuse_other_physics
from simulator.events import Event, Progress
from simulator.experiments.common import answer, finish
from simulator.fingerprint import FEATURE_NAMES
from simulator.notebook import Notebook
from simulator.params import RunPhase
from simulator.pool import cluster_results, local_results
from simulator.study_params import PersonalSweep, Sweep

# Work of one chunk in units of size**3 sites: about a tenth of a second.
_CHUNK_WORK = 64 * 32**3
_LOOK_UP = 500
_WAIT_SECONDS = 0.2


def run(params: PersonalSweep, notebook: Notebook | None = None) -> Iterator[Event]:
    """Runs what the notebook does not hold yet; reports means and spreads of the features by phase.

    Progress counts runs of the whole grid. Results are written chunk by chunk, each in
    one transaction, so that a kill loses only chunks that were under way. What another sweep in
    this lab is making is waited for and not made again.
    """
    work = _Work(params, notebook)
    try:
        work.look_up()
        yield Progress("sweep", work.done, params.total, _expected(params, work))
        while work.left:
            yield from _make(params, work)
            if work.left:
                time.sleep(_WAIT_SECONDS)
                yield Progress("sweep", work.done, params.total, "another sweep is making the rest")
    finally:
        work.close()
    yield finish(_answer(params, work.tally, work.found), notebook)


def _expected(params: PersonalSweep, work: _Work) -> str:
    """What was done before, and how long the rest is estimated to take on one core."""
    left = params.seconds * (params.total - work.done) / params.total
    told = [f"{work.found} were done before"] if work.found else []
    return "; ".join([*told, f"about {duration(left)} of compute"] if left > 1 else told)


def _make(params: PersonalSweep, work: _Work) -> Iterator[Event]:
    """Makes all that nobody else is making now."""
    chunks = work.chunks()
    first = next(chunks, None)
    if first is None:
        return
    chunks = chain([first], chunks)
    cores = len(os.sched_getaffinity(0))
    workers = min(params.workers or cores, cores)
    source = cluster_results(chunks, params.cluster) if params.cluster else local_results(chunks, workers)
    try:
        for results in source:
            work.keep(results)
            yield Progress("sweep", work.done, params.total)
    finally:
        source.close()


class _Work:
    """What of the grid is done, and what is left to make here; `found` counts what others had made."""

    def __init__(self, params: Sweep, notebook: Notebook | None) -> None:
        self.params = params
        self.notebook = notebook
        self.claims = Claims(notebook.path) if notebook else None
        self.tally = _Tally()
        self.done = 0
        self.found = 0
        self._settled = bytearray(params.total)

    @property
    def left(self) -> bool:
        """Whether some run is neither done nor being made here."""
        return 0 in self._settled

    def look_up(self) -> None:
        """Counts what the notebook holds already."""
        for part in self._parts():
            self._drop_known(part)

    def chunks(self) -> Iterator[list[dict[str, Any]]]:
        """What nobody has made or is making, claimed just before it is handed out, in pieces of equal work."""
        for part in self._parts():
            mine = [one for one in part if self.claims is None or self.claims.take(one.key)]
            chunk: list[dict[str, Any]] = []
            work = 0
            for one in self._drop_known(mine):
                self._settled[one.place] = 1
                chunk.append(one.values)
                work += one.values["system_size"] ** 3
                if work >= _CHUNK_WORK:
                    yield chunk
                    chunk, work = [], 0
            if chunk:
                yield chunk

    def keep(self, results: list[dict[str, Any]]) -> None:
        """Writes what was made, and only then gives its claims back."""
        for result in results:
            refuse_other_physics(result)
        if self.notebook:
            self.notebook.put_many(results)
        if self.claims:
            self.claims.give_back(result["experiment_id"] for result in results)
        for result in results:
            self.tally.add(result)
        self.done += len(results)

    def close(self) -> None:
        """Gives all claims back."""
        if self.claims:
            self.claims.close()

    def _drop_known(self, runs: list[_GridRun]) -> list[_GridRun]:
        """Those that the notebook does not hold; the others are settled, counted and given back."""
        known = self.notebook.known(one.key for one in runs) if self.notebook and runs else set()
        for one in runs:
            if self.notebook and one.key in known:
                self.tally.add(self.notebook.get(one.key))
                self._settled[one.place] = 1
        if self.claims:
            self.claims.give_back(known)
        self.done += len(known)
        self.found += len(known)
        return [one for one in runs if one.key not in known]

    def _parts(self) -> Iterator[list[_GridRun]]:
        """What is not settled yet, some hundreds at a time; runs of one phase, size and depth are neighbours."""
        params = self.params
        seeds = range(params.first_seed, params.first_seed + params.seeds)
        cells = chain.from_iterable(
            product([phase], params.system_sizes, params.depths, seeds, params.biases_of(phase))
            for phase in params.phases
        )
        runs = (_GridRun.of(place, cell, params) for place, cell in enumerate(cells) if not self._settled[place])
        while part := list(islice(runs, _LOOK_UP)):
            yield part


@dataclass(frozen=True, slots=True)
class _GridRun:
    """One run of the grid: its place there, its id and its parameters."""

    place: int
    key: str
    values: dict[str, Any]

    @classmethod
    def of(cls, place: int, cell: tuple[Any, ...], sweep: Sweep) -> _GridRun:
        phase, size, depth, seed, bias = cell
        params = RunPhase(
            phase_type=phase,
            system_size=size,
            depth=depth,
            seed=seed,
            bias=bias,
            shots=sweep.shots,
            sector=sweep.sector,
        )
        values = params.model_dump()
        return cls(place, experiment_id("run_phase", values), values)


class _Tally:
    """Running sums of the features by phase: a sweep's memory does not grow with its size."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = defaultdict(int)
        self.sums: dict[str, Any] = defaultdict(lambda: np.zeros((2, len(FEATURE_NAMES))))

    def add(self, result: dict[str, Any]) -> None:
        """Counts one run. Raises BadParameter if it is of another physics version: the two are never averaged."""
        refuse_other_physics(result)
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
                f"{_count(params.total, 'run')}: {_count(len(params.phases), 'phase')}, "
                f"{_count(len(params.system_sizes), 'size')}, {_count(len(params.depths), 'depth')}, "
                f"{_count(len(params.biases), 'bias')}, {_count(params.seeds, 'seed')}; {found} known before."
            ),
        },
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{'es' if noun.endswith('s') else 's'}"
