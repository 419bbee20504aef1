"""The four phases as data: couplings, starts and random gates, in the fixed order of random draws.

    H = - sum J_i Z_i Z_{i+1} - sum K_i Z_{i-1} X_i Z_{i+1} - sum g_i X_i

One layer is exp(i dt J ZZ) on all bonds, then exp(i dt K ZXZ) on all centres,
then exp(i dt g X) on all sites: a first-order Trotter step. The pseudorandom
phase has no couplings: its layers are brickworks of random two-qubit Cliffords.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TIME_STEP = 0.2
DISORDER = 0.3
CLIFFORDS = 11_520


@dataclass(frozen=True, slots=True)
class PhaseRule:
    """Mean couplings of a phase, and whether its start is a mixture of the all-up and all-down sectors."""

    zz: float
    zxz: float
    x: float
    sectors: bool


RULES: dict[str, PhaseRule] = {
    "ising_symmetry_breaking": PhaseRule(1.0, 0.0, 0.4, True),
    "spt_cluster": PhaseRule(0.0, 1.0, 0.4, False),
    "trivial_product": PhaseRule(0.3, 0.0, 1.0, False),
}
RANDOM_PHASE = "pseudorandom"


@dataclass(frozen=True, slots=True)
class Couplings:
    """J (batch, n-1), K (batch, n-2) for centres 1..n-2, and g (batch, n)."""

    zz: Floats
    zxz: Floats
    x: Floats

    def scaled(self, factor: float) -> Couplings:
        """All couplings times `factor`."""
        return Couplings(self.zz * factor, self.zxz * factor, self.x * factor)


def has_sectors(phase: str) -> bool:
    """Whether the start is a mixture of two sectors, and so carries a sector ancilla."""
    return phase == RANDOM_PHASE or RULES[phase].sectors


def couplings(phase: str, size: int, seeds: Sequence[int]) -> Couplings:
    """The disorder of each seed. All three kinds are drawn always, so a seed means the same in every phase."""
    rule = RULES[phase]
    draws = np.empty((len(seeds), 3 * size - 3))
    for row, seed in enumerate(seeds):
        # One call draws the same numbers as three: uniform consumes one double each.
        draws[row] = np.random.default_rng(seed).uniform(-1, 1, 3 * size - 3)
    draws = 1 + DISORDER * draws
    bonds, centres = size - 1, size - 2
    return Couplings(
        rule.zz * draws[:, :bonds],
        rule.zxz * draws[:, bonds : bonds + centres],
        rule.x * draws[:, bonds + centres :],
    )


def layer_bonds(layer: int, size: int) -> NDArray[np.intp]:
    """Left sites b of the gates of brickwork layer `layer`: b = layer % 2, and every second one after it."""
    return np.arange(layer % 2, size - 1, 2)


def gate_draws(size: int, depth: int, seed: int) -> list[NDArray[np.int64]]:
    """Indices into stim's list of two-qubit Cliffords, one array a layer, from a fresh generator."""
    counts = [(size - layer % 2) // 2 for layer in range(depth)]
    drawn = np.random.default_rng(seed).integers(CLIFFORDS, size=sum(counts))
    return [drawn[end - count : end] for count, end in zip(counts, accumulate(counts), strict=True)]
