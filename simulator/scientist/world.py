"""The world the scientist works in: which experiments there are, and what each one is worth.

An action is the next experiment: a phase, a size, a depth and a bias from fixed levels,
run with the next seed of a small pool. A trial is a budget of experiments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulator.batch import Measured, Run, measure_runs
from simulator.detector import PhaseDetector
from simulator.fingerprint import FEATURE_NAMES, FEATURE_SCALES, distance
from simulator.params import PHASES

Floats = NDArray[np.float64]

SIZES = (4, 8, 16, 32)
DEPTHS = (1, 2, 4, 8)
BIASES = (0.0, 0.25, 0.5, 0.75, 1.0)
LEVELS = (len(PHASES), len(SIZES), len(DEPTHS), len(BIASES))
POOL = 16

Action = tuple[int, int, int, int]


def all_actions() -> list[Action]:
    """Every experiment that can be chosen, seeds aside."""
    return [tuple(int(part) for part in index) for index in np.ndindex(*LEVELS)]  # type: ignore[misc]


def as_run(action: Action, seed: int) -> Run:
    """The run that an action asks for."""
    phase, size, depth, bias = action
    return Run(PHASES[phase], SIZES[size], DEPTHS[depth], seed, BIASES[bias])


class Laboratory:
    """All circuits of the world, followed once in batches; every later look is a table look-up."""

    def __init__(self, seed: int) -> None:
        seeds = range(POOL * seed, POOL * (seed + 1))
        self.seeds = [one % 2**32 for one in seeds]
        runs = [as_run(action, one) for action in all_actions() for one in self.seeds]
        self._table: dict[Run, Measured] = dict(zip(runs, measure_runs(runs), strict=True))

    def features(self, run: Run) -> list[float]:
        """The run's thirteen features."""
        return self._table[run].features


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one experiment showed and what it was worth."""

    run: Run
    features: list[float]
    reward: float


class Trial:
    """A budget of experiments under one reward: tri, uncertainty or divergence.

    `tri` pays the TRI of the run; `uncertainty` the entropy, in bits, of the detector's
    probabilities; `divergence` the distance from the nearest fingerprint of this trial.
    """

    def __init__(
        self, laboratory: Laboratory, reward: str, budget: int, seed: int, detector: PhaseDetector | None
    ) -> None:
        self.laboratory = laboratory
        self.reward = reward
        self.budget = budget
        self.outcomes: list[Outcome] = []
        self.detector = detector
        self._rng = np.random.default_rng([seed, 4])

    @property
    def over(self) -> bool:
        """Whether the budget is spent."""
        return len(self.outcomes) >= self.budget

    def step(self, action: Action) -> Outcome:
        """Runs the experiment and pays for it."""
        run = as_run(action, int(self._rng.choice(self.laboratory.seeds)))
        features = self.laboratory.features(run)
        outcome = Outcome(run, features, self._worth(run, features))
        self.outcomes.append(outcome)
        return outcome

    def _worth(self, run: Run, features: list[float]) -> float:
        if self.reward == "tri":
            mirror = replace(run, bias=BIASES[len(BIASES) - 1 - BIASES.index(run.bias)])
            return distance(features, self.laboratory.features(mirror))
        if self.reward == "uncertainty":
            assert self.detector is not None
            chances = self.detector.probabilities([features])[0]
            return float(-np.sum(chances * np.log2(np.maximum(chances, 1e-300))))
        seen = [distance(features, one.features) for one in self.outcomes]
        return min(seen, default=0.0)


def scaled(features: list[float]) -> Floats:
    """A fingerprint in units of its scales, held within +-10."""
    return np.clip(np.array(features) / np.array([FEATURE_SCALES[name] for name in FEATURE_NAMES]), -10.0, 10.0)
