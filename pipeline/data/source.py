"""Where experiments run: in this process, or behind a Lab API. Both give the same results."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import simulator
from pipeline.data.claims import Run
from pipeline.errors import NetworkError
from simulator.pool import WorkerProcess

BATCH = 256
"""Runs handed over at once: enough for the batched engines, few enough for a live bar and little memory."""
MANY = 800
"""Runs from which on helpers are worth their start of about a second."""
MOST_CORES = 8
Result = dict[str, Any]


class Source(Protocol):
    """Something that runs experiments."""

    def run(self, runs: list[Run]) -> Iterator[Result]:
        """The results, in the order of the runs. Raises SimulatorError or NetworkError."""
        ...

    def close(self) -> None:
        """Lets go of connections."""
        ...


class InProcess:
    """Runs experiments through the simulator in this process, in batches where the simulator has them.

    Where many come, worker processes on the other cores take their share of the single runs.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._helpers: list[WorkerProcess] = []

    def run(self, runs: list[Run]) -> Iterator[Result]:
        self._asked += len(runs)
        if self._asked > MANY and not self._helpers:
            self._helpers = [WorkerProcess() for _ in range(min(len(os.sched_getaffinity(0)), MOST_CORES) - 1)]
        for start in range(0, len(runs), BATCH):
            yield from self._batch(runs[start : start + BATCH])

    def _batch(self, runs: list[Run]) -> list[Result]:
        from simulator.experiments.replay_drift import replay_many
        from simulator.experiments.tri import tri_many

        batched: dict[str, Callable[[list[Any]], list[Result]]] = {
            "run_phase": self._single_runs,
            "tri": tri_many,
            "replay_drift": replay_many,
        }
        found: dict[str, Result] = {}
        for name, many in batched.items():
            own = [run for run in runs if run.experiment == name]
            model = simulator.EXPERIMENTS[name].params
            results = many([simulator.validate(model, run.params) for run in own]) if own else []
            found.update(zip([run.key for run in own], results, strict=True))
        for run in runs:
            if run.key not in found:
                found[run.key] = simulator.run_now(run.experiment, **run.params)
        return [found[run.key] for run in runs]

    def _single_runs(self, params: list[Any]) -> list[Result]:
        """`run_many`, shared out evenly over this process and its helpers."""
        parts = 1 + len(self._helpers)
        size = -(-len(params) // parts)
        shares = [params[start : start + size] for start in range(0, len(params), size)]
        with ThreadPoolExecutor(parts) as pool:
            others = [
                pool.submit(helper.measure, [one.model_dump(mode="json") for one in share])
                for helper, share in zip(self._helpers, shares[1:], strict=False)
            ]
            own = simulator.run_many(shares[0])
            return [*own, *(result for other in others for result in other.result())]

    def close(self) -> None:
        """Ends the helpers."""
        for helper in self._helpers:
            helper.close()
        self._helpers = []


class OverApi:
    """Runs experiments through a Lab API, one request a run."""

    def __init__(self, url: str, token: str | None = None) -> None:
        from pipeline.api.client import LabClient

        self.client = LabClient(url, token=token)
        version = self.client.health().get("physics_version")
        if version != simulator.PHYSICS_VERSION:
            raise NetworkError(
                f"the Lab API at {url} has physics version {version}, and this lab has {simulator.PHYSICS_VERSION}: "
                "its numbers would not be this lab's, so update one of the two"
            )

    def run(self, runs: list[Run]) -> Iterator[Result]:
        for item in runs:
            yield self.client.run(item.experiment, item.params)

    def close(self) -> None:
        """Closes the connection."""
        self.client.close()


def run_all(source: Source, runs: list[Run]) -> Iterator[tuple[str, Result]]:
    """(key, result) of every distinct run, each run once."""
    distinct = {run.key: run for run in runs}
    yield from zip(distinct, source.run(list(distinct.values())), strict=True)
