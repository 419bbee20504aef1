"""The RL scientist: a world of experiments, rewards, agents, and a Gymnasium environment around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.errors import BadParameter, MissingExtra
from simulator.extras import install_line

if TYPE_CHECKING:
    from simulator.detector import PhaseDetector
    from simulator.scientist.env import LabEnv

REWARDS = ("tri", "uncertainty", "divergence")


def make_env(reward: str = "tri", budget: int = 200, seed: int = 0, detector: PhaseDetector | None = None) -> LabEnv:
    """A Gymnasium environment with a laboratory of its own; the reward `uncertainty` needs a detector.

    Raises MissingExtra without gymnasium, and BadParameter.
    """
    if reward not in REWARDS:
        raise BadParameter(f"reward is {reward!r}, which is none: choose one of {', '.join(REWARDS)}", "reward")
    if reward == "uncertainty" and detector is None:
        raise BadParameter("detector is None, and uncertainty is a detector's: train or load one", "detector")
    if isinstance(budget, bool) or not isinstance(budget, int) or not 1 <= budget <= 100_000:
        raise BadParameter(f"budget is {budget!r}, outside its bounds: choose 1 to 100000", "budget")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise BadParameter(f"seed is {seed!r}, outside its bounds: choose 0 to 4294967295", "seed")
    try:
        from simulator.scientist.env import LabEnv
    except ImportError:
        raise MissingExtra(f"gymnasium is not installed: run `{install_line('scientist')}`") from None
    from simulator.scientist.world import Laboratory, Trial

    return LabEnv(Trial(Laboratory(seed), reward, budget, seed, detector))
