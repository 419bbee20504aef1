"""Who chooses the next experiment: chance, a bandit, or a policy gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simulator.errors import MissingExtra
from simulator.extras import install_line
from simulator.scientist.world import LEVELS, Action, Trial, all_actions

Floats = NDArray[np.float64]

_WIDTH = 1.0
_MEMORY = 0.98


def play_random(trial: Trial, seed: int) -> None:
    """Every experiment with the same chance."""
    rng = np.random.default_rng([seed, 5])
    while not trial.over:
        trial.step(tuple(int(rng.integers(level)) for level in LEVELS))  # type: ignore[arg-type]


def play_bandit(trial: Trial, seed: int) -> None:
    """LinUCB (Li et al., WWW 2010) over the levels of an experiment and their pairs with its phase.

    Older outcomes fade, because what diverged once is no news the second time
    (discounted linear bandits: Russac et al., NeurIPS 2019).
    """
    rng = np.random.default_rng([seed, 6])
    actions = all_actions()
    rows = np.array([_levels(action) for action in actions])
    gram = np.eye(rows.shape[1])
    gains = np.zeros(rows.shape[1])
    rewards: list[float] = []
    while not trial.over:
        inverse = np.linalg.inv(gram)
        width = np.sqrt(np.einsum("ij,jk,ik->i", rows, inverse, rows))
        spread = float(np.std(rewards)) if len(rewards) > 1 else 1.0
        hope = rows @ (inverse @ gains) + _WIDTH * max(spread, 1e-6) * width
        best = np.flatnonzero(hope >= hope.max() - 1e-9)
        choice = int(rng.choice(best))
        reward = trial.step(actions[choice]).reward
        rewards.append(reward)
        gram = _MEMORY * gram + np.outer(rows[choice], rows[choice]) + (1 - _MEMORY) * np.eye(len(gram))
        gains = _MEMORY * gains + reward * rows[choice]


def _levels(action: Action) -> Floats:
    """One-hot levels, and one-hot pairs of the phase with each other level."""
    ones = [np.eye(level)[part] for level, part in zip(LEVELS, action, strict=True)]
    pairs = [np.outer(ones[0], other).ravel() for other in ones[1:]]
    return np.concatenate([*ones, *pairs])


def play_ppo(trial: Trial, seed: int) -> None:
    """Proximal policy optimization from stable-baselines3, learning within the budget.

    Every step is an episode's worth of its own (no discount over time), so updates are
    short and the learning rate is high. Divergence pays for what is new, so there the policy
    has to stay broad: more weight on its entropy, smaller steps. Raises MissingExtra.
    """
    try:
        from stable_baselines3 import PPO
    except ImportError:
        raise MissingExtra(f"stable-baselines3 is not installed: run `{install_line('scientist')}`") from None
    from threadpoolctl import threadpool_limits

    from simulator.scientist.env import LabEnv

    broad = trial.reward == "divergence"
    steps = 8 if broad else 10
    # The network is tiny: more threads would only wait for each other.
    with threadpool_limits(1):
        model = PPO(
            "MlpPolicy",
            LabEnv(trial),
            n_steps=steps,
            batch_size=steps,
            n_epochs=8,
            learning_rate=0.01 if broad else 0.02,
            gamma=0.0,
            gae_lambda=1.0,
            ent_coef=0.05 if broad else 0.01,
            policy_kwargs={"net_arch": [16]},
            seed=seed % 2**32,
            device="cpu",
        )
        model.learn(trial.budget)


AGENTS: dict[str, Callable[[Trial, int], None]] = {
    "random": play_random,
    "bandit": play_bandit,
    "ppo": play_ppo,
}
