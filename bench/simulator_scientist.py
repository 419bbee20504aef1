"""The RL scientist against random search at equal budget: `python bench/simulator_scientist.py [--budget 200]`.

Every reward and agent, over ten seeds; the trials of an agent and of random search have the same seeds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# This folder is on the path first, and a file in it has the package's name: the repository takes its place.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import simulator  # noqa: E402
from simulator.scientist import REWARDS  # noqa: E402


def main() -> None:
    """Prints the table of bench/README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument("--trials", type=int, default=10)
    # The agents' settings were chosen on the trials from seed 0: these are others.
    parser.add_argument("--seed", type=int, default=1000)
    options = parser.parse_args()
    print(
        f"{options.trials} trials of {options.budget} experiments from seed {options.seed}; mean reward an experiment\n"
    )
    print("| reward | agent | agent's | random's | gain (95 % interval) | better trials |\n|---|---|---|---|---|---|")
    for reward in REWARDS:
        for agent in ("bandit", "ppo"):
            result = simulator.run_now(
                "scientist", reward=reward, agent=agent, budget=options.budget, trials=options.trials, seed=options.seed
            )
            mean, (low, high) = result["mean_reward"], result["gain_interval"]
            print(
                f"| {reward} | {agent} | {mean[agent]:.3f} | {mean['random']:.3f} | {result['gain']:.3f} "
                f"({low:.3f} to {high:.3f}) | {result['better_trials']} of {options.trials} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
