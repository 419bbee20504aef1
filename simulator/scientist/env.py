"""The scientist's world as a Gymnasium environment; needs the extra 'scientist'."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from simulator.fingerprint import FEATURE_NAMES
from simulator.scientist.world import LEVELS, Trial, scaled

Observation = NDArray[np.float32]


class LabEnv(gymnasium.Env[Observation, NDArray[np.int64]]):
    """Observation: the last fingerprint in units of its scales, its reward, and the share of the budget left.

    Action: the levels of phase, size, depth and bias of the next experiment. An episode is
    one trial; it is truncated when the budget is spent.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.action_space = gymnasium.spaces.MultiDiscrete(LEVELS)
        self.observation_space = gymnasium.spaces.Box(-10.0, 10.0, (len(FEATURE_NAMES) + 2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, dict]:
        """A new trial of the same kind once the old one has begun."""
        super().reset(seed=seed)
        if self._trial.outcomes and (seed is not None or self._trial.over):
            fresh = int(self.np_random.integers(2**32))
            old = self._trial
            self._trial = Trial(old.laboratory, old.reward, old.budget, fresh, old.detector)
        return np.zeros(self.observation_space.shape or (), np.float32), {}

    def step(self, action: NDArray[np.int64]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Runs the experiment; the info holds its run."""
        phase, size, depth, bias = (int(part) for part in action)
        outcome = self._trial.step((phase, size, depth, bias))
        left = 1.0 - len(self._trial.outcomes) / self._trial.budget
        tail = [min(outcome.reward, 10.0), left]
        observation = np.concatenate([scaled(outcome.features), tail]).astype(np.float32)
        return observation, outcome.reward, False, self._trial.over, {"run": outcome.run}
