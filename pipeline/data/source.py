"""Where experiments run: in this process, or behind a Lab API. Both give the same results."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import simulator
from pipeline.data.claims import Run
from pipeline.data.sharing import Ahead, shares
from pipeline.errors import NetworkError
from simulator.events import last_result
from simulator.pool import WorkerProcess

BATCH = 1024
"""Runs handed over at once: enough for the batched engines, few enough for a live bar and little memory."""
MANY = 800
"""Runs from which on helpers are worth their start of about a second."""
MOST_CORES = 8
SLOW = "discovery"
"""The experiment that takes longest, and whose library takes seconds to load."""
Result = dict[str, Any]


class Source(Protocol):
    """Something that runs experiments."""

    def expect(self, runs: list[Run]) -> None:
        """Runs that `run` will be asked for later; a source may start on them at once."""
        ...

    def run(self, runs: list[Run]) -> Iterator[Result]:
        """The results, in the order of the runs. Raises SimulatorError or NetworkError."""
        ...

    def close(self) -> None:
        """Lets go of connections."""
        ...


class InProcess:
    """Runs experiments through the simulator in this process, in batches where the simulator has them.

    Where many come, worker processes on the other cores take their share of the single runs. Expected discoveries
    are made by one more worker meanwhile.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._helpers: list[WorkerProcess] = []
        self._ahead: Ahead | None = None

    def expect(self, runs: list[Run]) -> None:
        """Starts on the discoveries among them, where there is a second core."""
        slow = [run for run in runs if run.experiment == SLOW]
        if slow and _cores() > 1 and self._ahead is None:
            self._ahead = Ahead(slow)

    def run(self, runs: list[Run]) -> Iterator[Result]:
        self._asked += len(runs)
        if self._asked > MANY and not self._helpers:
            self._helpers = [WorkerProcess() for _ in range(_cores() - 1)]
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
                ahead = self._ahead.result(run) if self._ahead else None
                found[run.key] = ahead or last_result(simulator.run(run.experiment, run.params))
        return [found[run.key] for run in runs]

    def _single_runs(self, params: list[Any]) -> list[Result]:
        """`run_many`, shared out over this process and its helpers."""
        if not self._helpers:
            return simulator.run_many(params)
        own, *others = shares(params, 1 + len(self._helpers))
        found: dict[int, Result] = {}
        with ThreadPoolExecutor(len(others)) as pool:
            asked = [
                pool.submit(helper.measure, [params[place].model_dump(mode="json") for place in share])
                for helper, share in zip(self._helpers, others, strict=True)
                if share
            ]
            found.update(zip(own, simulator.run_many([params[place] for place in own]), strict=True))
            for share, future in zip(filter(None, others), asked, strict=True):
                found.update(zip(share, future.result(), strict=True))
        return [found[place] for place in range(len(params))]

    def close(self) -> None:
        """Ends the helpers."""
        for helper in self._helpers:
            helper.close()
        self._helpers = []
        if self._ahead:
            self._ahead.close()
            self._ahead = None


def _cores() -> int:
    return min(len(os.sched_getaffinity(0)), MOST_CORES)


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

    def expect(self, runs: list[Run]) -> None:
        """Nothing: the API is asked for one run after the other."""

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
