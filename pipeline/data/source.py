"""Where experiments run: in this process, or behind a Lab API. Both give the same results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import simulator
from pipeline.data.claims import Run
from pipeline.errors import NetworkError

BATCH = 256
"""Runs handed over at once: enough for the batched engines, few enough for a live bar and little memory."""
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
    """Runs experiments through the simulator in this process, in batches where the simulator has them."""

    def run(self, runs: list[Run]) -> Iterator[Result]:
        for start in range(0, len(runs), BATCH):
            yield from self._batch(runs[start : start + BATCH])

    def _batch(self, runs: list[Run]) -> list[Result]:
        from simulator.experiments.replay_drift import replay_many
        from simulator.experiments.tri import tri_many

        batched: dict[str, Callable[[list[Any]], list[Result]]] = {
            "run_phase": simulator.run_many,
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

    def close(self) -> None:
        """Nothing to let go of."""


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
