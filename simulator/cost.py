"""What a run costs, estimated before it: CPU seconds on one core, from measured growth (bench/simulator.md).

An estimate is meant to be right within a factor of three; `bench/simulator.py --growth` measures the same runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

LONGEST_SECONDS = 600.0
"""The most that one experiment may be estimated to take; a sweep may take this long for each of its runs."""
PATIENCE_SECONDS = 2.0
"""Above this estimate an experiment runs as a job, which can be watched and cancelled."""

# Sites that a layer adds to the part of the chain which the middle cut entangles.
_REACH = {"ising_symmetry_breaking": 2, "spt_cluster": 4, "trivial_product": 2}
# Seconds: of one eigenproblem a cubed side, of one layer of gates a squared site, and of one layer's calls.
_CUBE, _LAYER, _CALL = 6e-10, 2.5e-8, 2e-4
# The stabilizer engine: seconds of one layer a site and a squared site, and of the ranks a squared site.
_RANDOM_SITE, _RANDOM_LAYER, _RANK = 1.8e-5, 2.4e-8, 3e-7


@lru_cache(maxsize=1024)
def run_seconds(phase: str, size: int, depth: int) -> float:
    """Return the estimated CPU seconds of one run and its features."""
    if phase not in _REACH:
        return _CALL * depth + depth * size * (_RANDOM_SITE + _RANDOM_LAYER * size) + _RANK * size**2
    reach = _REACH[phase]
    layers = sum(min(size, reach * layer) ** 3 for layer in range(1, depth + 1))
    # Over the cuts of the chain the side of the eigenproblem is held by the nearer end: a quarter in the mean of cubes.
    profile = size * min(size / 4 ** (1 / 3), reach * depth) ** 3
    return _CALL * (depth + 5) + _LAYER * size**2 * (depth + 20) + _CUBE * (layers + profile)


def experiment_seconds(values: object) -> float:
    """Return the estimate for the parameters of any experiment; 0 for those that are not made of runs."""
    if isinstance(seconds := getattr(values, "seconds", None), float):
        return seconds
    phases: Sequence[str] = getattr(values, "phases", None) or [getattr(values, "phase_type", None) or ""]
    if phases == [""]:
        return 0.0
    size = getattr(values, "system_size", 32)
    depths = [getattr(values, "depth", 8)]
    if factors := getattr(values, "depth_factors", None):
        depths = [getattr(values, "base_depth", 4) * factor for factor in factors]
    times = getattr(values, "num_per_phase", 1)
    return times * sum(run_seconds(phase, size, depth) for phase in phases for depth in depths)


def refuse_costly(seconds: float, size: int, depth: int) -> None:
    """Raise ValueError in one sentence if an experiment is estimated to take longer than `LONGEST_SECONDS`."""
    if seconds > LONGEST_SECONDS:
        raise ValueError(
            f"system_size {size} with depth {depth} is estimated to take {duration(seconds)} of compute, above the "
            f"limit of {duration(LONGEST_SECONDS)}: choose a smaller system_size, a smaller depth or fewer runs"
        )


def duration(seconds: float) -> str:
    """Return the time in the largest unit that leaves a whole number: `8 s`, `12 min`, `3 h`."""
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{round(seconds / 3600)} h"
