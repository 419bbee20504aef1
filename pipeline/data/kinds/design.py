"""Designing an experiment for a goal: what to run, what it shows, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.regions import PHASES, SIZES, Region
from pipeline.data.wordings import ORDER, listing, pick, rest_text

Params = dict[str, Any]


@dataclass(frozen=True)
class Goal:
    """What a person wants, the experiment for it, the number that shows it, and the reason."""

    phrases: tuple[str, ...]
    experiment: str
    params: Callable[[Random], Params]
    shows: str
    label: str
    why: str


def _phase(phase: str, *depths: int, **more: Any) -> Callable[[Random], Params]:
    return lambda rng: {"phase_type": phase, "depth": rng.choice(depths), **more}


GOALS = (
    Goal(
        ("to maximize TRI", "that makes TRI as large as possible", "with the highest TRI"),
        "tri",
        _phase(PHASES[0], 1, 2, 3, bias=1.0),
        "TRI",
        "TRI",
        "The whole magnetization changes sign if the bias is flipped, and at a shallow depth it is large.",
    ),
    Goal(
        ("to show that TRI can be zero", "in which TRI vanishes"),
        "tri",
        _phase(PHASES[1], 4, 6, 8, bias=1.0),
        "TRI",
        "TRI",
        "spt_cluster has no sectors, so nothing depends on the bias.",
    ),
    Goal(
        ("to see symmetry breaking", "that shows aligned spins"),
        "run_phase",
        _phase(PHASES[0], 2, 3, 4),
        "features.zz_nearest",
        "zz_nearest",
        "Neighbouring spins align, and a shallow run keeps the order.",
    ),
    Goal(
        ("to see hidden string order", "that shows the order of the cluster state"),
        "run_phase",
        _phase(PHASES[1], 1, 2, 3),
        "features.string_order",
        "string_order",
        "The cluster state's order is in the string, and depth wears it down.",
    ),
    Goal(
        ("to see spins follow the field", "that shows the trivial phase"),
        "run_phase",
        _phase(PHASES[2], 2, 4, 8),
        "features.transverse",
        "transverse",
        "The field wins over the couplings, so each site stays on its own.",
    ),
    Goal(
        ("to reach a high entropy", "that scrambles as much as possible", "with much entanglement"),
        "run_phase",
        _phase(PHASES[3], 12, 16),
        "features.entropy_final",
        "entropy_final",
        "Random gates add entanglement until the chain is saturated, so go deep.",
    ),
    Goal(
        ("to watch an operator spread", "in which an operator spreads far"),
        "run_phase",
        _phase(PHASES[3], 8, 12, 16),
        "features.operator_spread",
        "operator_spread",
        "Random gates spread an operator further with depth.",
    ),
    Goal(
        ("with a large replay drift", "to see how depth changes a fingerprint"),
        "replay_drift",
        lambda rng: {"phase_type": PHASES[3], "base_depth": rng.choice((2, 3)), "depth_factors": [1, 2, 4]},
        "replay_sensitivity_index",
        "the replay sensitivity index",
        "pseudorandom keeps changing with depth.",
    ),
    Goal(
        ("to tell the phases apart without labels", "that finds the phases by clustering"),
        "discovery",
        lambda rng: {"phases": list(PHASES), "num_per_phase": 10, "k": 4, "depth": rng.choice((4, 6, 8))},
        "purity",
        "purity",
        "Four phases need four clusters; the phase names stay unseen.",
    ),
)


@kind("design")
class DesignKind:
    """`Run tri on … with …: TRI is 4.71. Why. `"""

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        place = index % len(GOALS)
        goal = GOALS[place]
        params = goal.params(rng)
        params["system_size"] = rng.choice(SIZES[:5] if goal.experiment == "discovery" else SIZES)
        in_thousands = goal.experiment == "discovery"
        step = 1000 if in_thousands else 1
        params["seed"] = rng.randrange(region.first // step, region.last // step)
        return Case([Run(goal.experiment, params)], {"goal": place})

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        run, result, goal = case.runs[0], results[0], GOALS[case.choice["goal"]]
        on = listing(run.params["phases"]) if "phases" in run.params else run.params["phase_type"]
        for name in ORDER:
            if name == "depth_factors" and name in run.params:
                for place in range(len(run.params[name])):
                    words.param(run, f"depth_factors.{place}")
            elif name in run.params:
                words.param(run, name)
        shown = f"{goal.label} is {words.number(run, result, goal.shows)}"
        output = f"Run {goal.experiment} on {on} with {rest_text(run.params)}: {shown}. {goal.why}"
        size = str(run.params["system_size"])
        return Draft(pick(rng, "design", goal=rng.choice(goal.phrases), size=size), output)
