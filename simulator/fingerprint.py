"""The names, order and units of the thirteen features, and the scales that make them comparable."""

from __future__ import annotations

import math
from collections.abc import Sequence

FEATURE_UNITS: dict[str, str] = {
    "entropy_mean": "bits",
    "entropy_max": "bits",
    "entropy_final": "bits",
    "entropy_slope": "bits per layer",
    "entropy_per_site": "bits per site",
    "entropy_flatness": "",
    "magnetization": "",
    "transverse": "",
    "zz_nearest": "",
    "zz_long": "",
    "correlation_range": "sites",
    "string_order": "",
    "operator_spread": "",
}

FEATURE_NAMES: tuple[str, ...] = tuple(FEATURE_UNITS)

# Written by `python -m simulator.scales`, which tells how.
FEATURE_SCALES: dict[str, float] = {
    "entropy_mean": 1.356694807,
    "entropy_max": 2.243647276,
    "entropy_final": 2.225973396,
    "entropy_slope": 0.257645014,
    "entropy_per_site": 0.169636978,
    "entropy_flatness": 0.258461226,
    "magnetization": 0.39047421,
    "transverse": 0.364151989,
    "zz_nearest": 0.366796653,
    "zz_long": 0.359842021,
    "correlation_range": 6.829822229,
    "string_order": 0.298206748,
    "operator_spread": 0.208915795,
}

PHYSICS_VERSION = "2-f0ac63ec"


def distance(first: Sequence[float], second: Sequence[float]) -> float:
    """L2 distance of two fingerprints (13 features each, in order), every difference divided by its scale."""
    return math.sqrt(sum(part * part for part in differences(first, second).values()))


def differences(first: Sequence[float], second: Sequence[float]) -> dict[str, float]:
    """Each feature's difference, second minus first, in units of its scale."""
    return {
        name: (after - before) / FEATURE_SCALES[name]
        for name, before, after in zip(FEATURE_NAMES, first, second, strict=True)
    }
