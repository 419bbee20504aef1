"""Reproduces the table of feature scales, and the physics version: `python -m simulator.scales`.

A scale is the feature's standard deviation over 4 phases x n {8, 16, 32, 64} x depth
{2, 4, 8, 16, 32} x seeds 0-9 at bias 0.65 (magnetization at bias 1), never below 0.01.
"""

from __future__ import annotations

import hashlib
import json
import sys

import numpy as np

from simulator.batch import Run, measure_runs
from simulator.engines.circuit import couplings, gate_draws
from simulator.engines.clifford import gate_list
from simulator.fingerprint import FEATURE_NAMES, FEATURE_SCALES, FEATURE_UNITS
from simulator.params import DEFAULT_BIAS, PHASES

SIZES = (8, 16, 32, 64)
DEPTHS = (2, 4, 8, 16, 32)
SEEDS = range(10)
LEAST = 0.01
EDITION = 2
"""Counts changes of the physics that a person is told about: 2 since the mixture of pseudorandom is exact."""


def measured_scales() -> dict[str, float]:
    """The table, from 800 circuits read at both biases."""
    grid = [(phase, size, depth, seed) for phase in PHASES for size in SIZES for depth in DEPTHS for seed in SEEDS]
    even = measure_runs([Run(*point, bias=DEFAULT_BIAS) for point in grid])
    full = measure_runs([Run(*point, bias=1.0) for point in grid])
    spread = np.std([one.features for one in even], axis=0)
    magnetization = FEATURE_NAMES.index("magnetization")
    spread[magnetization] = np.std([one.features[magnetization] for one in full])
    return {name: round(max(float(value), LEAST), 9) for name, value in zip(FEATURE_NAMES, spread, strict=True)}


def draws_digest() -> str:
    """A hash of the first random draws, which a change of numpy's streams would change."""
    strengths = couplings("ising_symmetry_breaking", 8, [0, 1])
    gates = np.concatenate(gate_draws(8, 4, 0)).tolist()
    couplings_text = [[f"{value:.12f}" for value in row] for row in np.vstack([strengths.zz, strengths.x[:, :7]])]
    return _hash([couplings_text, gates])


def cliffords_digest() -> str:
    """A hash of stim's list of two-qubit Cliffords in its order."""
    return _hash([str(tableau) for tableau in gate_list()])


def physics_version() -> str:
    """The edition, and eight hex digits over draws, Cliffords, features and scales."""
    return f"{EDITION}-{_hash([EDITION, draws_digest(), cliffords_digest(), FEATURE_UNITS, FEATURE_SCALES])[:8]}"


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()[:16]


def main() -> int:
    """Prints the table as it stands in fingerprint.py; 1 where the two differ by more than 1e-9."""
    measured = measured_scales()
    for name, value in measured.items():
        sys.stdout.write(f'    "{name}": {value!r},\n')
    sys.stdout.write(f"physics version {physics_version()}\n")
    return int(any(abs(measured[name] - FEATURE_SCALES[name]) > 2e-9 for name in FEATURE_NAMES))


if __name__ == "__main__":
    sys.exit(main())
