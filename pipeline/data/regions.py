"""Which part of parameter space belongs to which split.

Training, validation and test never share a run: each split has its own seeds. `extrapolation` (test seeds, too)
moreover has a size, a depth or a bias that no training line has. A discovery's runs use seeds from 1000 times
its own, so its own seed keeps them inside the split's region.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

PHASES = ("ising_symmetry_breaking", "spt_cluster", "trivial_product", "pseudorandom")
DEFAULT_BIAS = 0.65
SIZES = (8, 12, 16, 24, 32, 48, 64)
DEPTHS = (1, 2, 3, 4, 6, 8, 10, 12, 16)
BIASES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 1.0)
FAR_SIZES = (20, 40, 96)
FAR_DEPTHS = (5, 14, 20)
FAR_BIASES = (0.25, 0.55, 0.85, 0.95)


@dataclass(frozen=True, slots=True)
class Region:
    """The seeds [first, last) of a split, and whether its cases lie outside the training grid."""

    name: str
    first: int
    last: int
    far: bool = False


TRAIN = Region("train", 0, 10_000)
VALIDATION = Region("validation", 10_000, 20_000)
TEST = Region("interpolation", 20_000, 30_000)
TEST_FAR = Region("extrapolation", 30_000, 40_000, far=True)
REGIONS = {region.name: region for region in (TRAIN, VALIDATION, TEST, TEST_FAR)}


def draw(rng: Random, region: Region, phase: str | None = None, *, biased: bool = False) -> dict[str, Any]:
    """The parameters of one run_phase in `region`; `biased` draws the bias too, else it is the lab's default.

    In a far region exactly one of size, depth and (where drawn) bias is held out.
    """
    values: dict[str, Any] = {
        "phase_type": phase or rng.choice(PHASES),
        "system_size": rng.choice(SIZES),
        "depth": rng.choice(DEPTHS),
        "seed": rng.randrange(region.first, region.last),
        "bias": rng.choice(BIASES) if biased else DEFAULT_BIAS,
    }
    if region.far:
        held = rng.choice(("system_size", "depth", "bias") if biased else ("system_size", "depth"))
        values[held] = rng.choice({"system_size": FAR_SIZES, "depth": FAR_DEPTHS, "bias": FAR_BIASES}[held])
    return values


def region_of_seed(seed: int) -> str | None:
    """The split whose seeds hold `seed`, or None where it belongs to none."""
    for region in REGIONS.values():
        if region.first <= seed < region.last:
            return region.name
    return None


def is_test_case(experiment: str, params: Mapping[str, Any]) -> bool:
    """Whether a run with `params` uses seeds that are kept for evaluation."""
    seed = int(params.get("seed") or 0)
    first = 1000 * seed if experiment == "discovery" else seed
    return region_of_seed(first) in (TEST.name, TEST_FAR.name)
