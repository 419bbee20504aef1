"""How runs are shared out over this process and its workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pipeline.data.claims import Run
from simulator.pool import WorkerProcess

Result = dict[str, Any]


class Ahead:
    """Experiments that a worker process of their own makes, one after the other, while this process does others."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._worker = WorkerProcess()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._made: dict[str, Future[Result]] = {
            run.key: self._pool.submit(self._worker.run, run.experiment, run.params) for run in runs
        }

    def result(self, run: Run) -> Result | None:
        """The result, as soon as it is there; None where this run was not expected. Raises SimulatorError."""
        made = self._made.get(run.key)
        return made.result() if made else None

    def close(self) -> None:
        """Ends the worker; what it has not made yet is given up."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._worker.close()
        self._pool.shutdown(wait=True)


def shares(params: Sequence[Any], parts: int) -> list[list[int]]:
    """The places of the runs of `run_phase`, dealt out to `parts` processes.

    Runs of one phase and size stay together, since the engines batch them; the dearest group goes first, each to the
    process that has the least to do. A run's cost grows about as its size and depth do.
    """
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    for place, one in enumerate(params):
        groups[one.phase_type, one.system_size].append(place)
    cost = {
        key: sum(params[place].system_size * (4 + params[place].depth) for place in group)
        for key, group in groups.items()
    }
    dealt: list[list[int]] = [[] for _ in range(parts)]
    loads = [0] * parts
    for key in sorted(groups, key=lambda key: (-cost[key], key)):
        least = loads.index(min(loads))
        dealt[least] += groups[key]
        loads[least] += cost[key]
    return dealt
