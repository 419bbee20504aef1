"""The table of experiments. It imports parameter models alone, so menus and help cost no numpy."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from simulator import params, study_params


@dataclass(frozen=True, slots=True)
class Experiment:
    """`quick` experiments take under about 100 ms at their defaults and may run in a thread.

    `params` is what a person may type. Tool calls of a model and requests of the Lab API are checked against `public`,
    which has no address, path, worker count or host.
    """

    name: str
    params: type[BaseModel]
    summary: str
    quick: bool
    limited: type[BaseModel] | None = None

    @property
    def public(self) -> type[BaseModel]:
        """The parameters that a program may choose: `limited` if the experiment has it, else `params`."""
        return self.limited or self.params


_ALL = [
    Experiment("run_phase", params.RunPhase, "One circuit in one phase: thirteen features.", True),
    Experiment("tri", params.Tri, "Time-Reversal Instability: the distance of the runs at bias and at 1 - bias.", True),
    Experiment("echo", params.Echo, "Loschmidt echo: forward, then back through an imperfect inverse.", True),
    Experiment(
        "replay_drift", params.ReplayDrift, "The same seed at growing depths: how fast the fingerprint drifts.", True
    ),
    Experiment("discovery", params.Discovery, "Unsupervised k-means over the fingerprints of many runs.", False),
    Experiment("classify", params.Classify, "PhaseDetector: which phase is it, and how sure?", False),
    Experiment(
        "sweep",
        study_params.PersonalSweep,
        "A grid of runs in parallel; it goes on where it was stopped.",
        False,
        limited=study_params.Sweep,
    ),
    Experiment("scientist", study_params.Scientist, "The RL scientist against random search at equal budget.", False),
]

EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in _ALL}
