"""scientist: an agent that chooses experiments, against random search at equal budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.batch import experiment_id, run_many
from simulator.detector import PhaseDetector
from simulator.events import Event, Metric, Progress
from simulator.experiments.classify import ready_detector
from simulator.experiments.common import answer, finish, tidy
from simulator.notebook import Notebook
from simulator.params import RunPhase
from simulator.scientist.agents import AGENTS
from simulator.scientist.world import Laboratory, Outcome, Trial
from simulator.study_params import Scientist

Floats = NDArray[np.float64]

_CURVE_POINTS = 60


def run(params: Scientist, notebook: Notebook | None = None) -> Iterator[Event]:
    """Trials of the agent and of random search on the same seeds; the reward curve of both, and the best find."""
    detector: PhaseDetector | None = None
    if params.reward == "uncertainty":
        for step in ready_detector(notebook):
            if isinstance(step, PhaseDetector):
                detector = step
            else:
                yield step
    laboratory = Laboratory(params.seed)
    played: dict[str, list[Floats]] = {params.agent: [], "random": []}
    best: Outcome | None = None
    total = len(played) * params.trials
    for trial_number in range(params.trials):
        for name, rewards in played.items():
            trial = Trial(laboratory, params.reward, params.budget, params.seed + trial_number, detector)
            AGENTS[name](trial, params.seed + trial_number)
            outcomes = trial.outcomes[: params.budget]
            rewards.append(np.array([one.reward for one in outcomes]))
            if name == params.agent:
                best = max([*([best] if best else []), *outcomes], key=lambda one: one.reward)
            yield Progress("trials", sum(len(one) for one in played.values()), total, name)
        means = {name: float(np.mean(rewards[-1])) for name, rewards in played.items()}
        yield Metric("trials", trial_number + 1, means)
    assert best is not None
    if notebook is not None:
        notebook.put_many(run_many([_params_of(best)]))
    yield finish(answer("scientist", params, _compare(params, played, best)), notebook)


def _compare(params: Scientist, played: dict[str, list[Floats]], best: Outcome) -> dict[str, Any]:
    """Mean reward of each trial, the paired difference with its 95 % interval, and the curves."""
    agent, chance = (np.array([one.mean() for one in played[name]]) for name in (params.agent, "random"))
    gain = agent - chance
    interval: list[float] | None = None
    if len(gain) > 1:
        from scipy.stats import t

        half = float(t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / np.sqrt(len(gain)))
        interval = [tidy(gain.mean() - half), tidy(gain.mean() + half)]
    within = f"95 % interval {interval[0]:.3f} to {interval[1]:.3f}" if interval else "one trial gives no interval"
    wins = int(np.sum(gain > 0))
    tops = {name: float(np.mean([one.max() for one in rewards])) for name, rewards in played.items()}
    comparison = (
        f"Over {params.trials} trials of {params.budget} experiments, {params.agent} earned {agent.mean():.3f} "
        f"{params.reward} an experiment and random search {chance.mean():.3f}: a difference of {gain.mean():.3f} "
        f"({within}), "
        f"better in {wins} of {params.trials} trials. {_finds(params.agent, tops)}"
    )
    return {
        "reward": params.reward,
        "agent": params.agent,
        "mean_reward": {params.agent: tidy(agent.mean()), "random": tidy(chance.mean())},
        "rewards_by_trial": {name: [tidy(one.mean()) for one in rewards] for name, rewards in played.items()},
        "gain": tidy(gain.mean()),
        "gain_interval": interval,
        "better_trials": wins,
        "mean_best": {name: tidy(value) for name, value in tops.items()},
        "curve": _curve(played, lambda mean: np.cumsum(mean, axis=1) / np.arange(1, mean.shape[1] + 1)),
        "best_curve": _curve(played, lambda found: np.maximum.accumulate(found, axis=1)),
        "best": _find(best),
        "comparison": comparison,
        "summary": comparison,
    }


def _finds(agent: str, tops: dict[str, float]) -> str:
    """Which side's best single experiment is worth more: what earns most on the way need not find most."""
    mine, chance = tops[agent], tops["random"]
    if abs(mine - chance) < 5e-4:
        return f"The best single experiment of a trial is worth {mine:.3f} to both."
    better = agent if mine > chance else "random search"
    return (
        f"The better best single experiment is found by {better}: {mine:.3f} for {agent} and {chance:.3f} for random "
        "search, in the mean over trials."
    )


def _curve(played: dict[str, list[Floats]], so_far: Callable[[Floats], Floats]) -> dict[str, list[float]]:
    """What was reached after some experiments, averaged over trials; `so_far` turns (trials, budget) into that."""
    budget = len(next(iter(played.values()))[0])
    points = np.unique(np.linspace(1, budget, min(budget, _CURVE_POINTS)).astype(int))
    curve: dict[str, list[float]] = {"experiments": [int(point) for point in points]}
    for name, rewards in played.items():
        reached = so_far(np.array(rewards)).mean(axis=0)
        curve[name] = [tidy(value) for value in reached[points - 1]]
    return curve


def _find(best: Outcome) -> dict[str, Any]:
    """The best experiment that the agent found, with the parameters that run it again."""
    params = _params_of(best)
    return {
        "reward": tidy(best.reward),
        "experiment_id": experiment_id("run_phase", params),
        "params": params.model_dump(),
        "feature_vector": best.features,
    }


def _params_of(outcome: Outcome) -> RunPhase:
    run = outcome.run
    return RunPhase(
        phase_type=run.phase,  # type: ignore[arg-type]
        system_size=run.size,
        depth=run.depth,
        seed=run.seed,
        bias=run.bias,
    )
