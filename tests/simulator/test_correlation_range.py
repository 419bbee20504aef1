"""The correlation range as the design defines it, from the state vector's own correlations."""

from __future__ import annotations

import numpy as np
import pytest

import simulator
from simulator.engines import statevector
from simulator.engines.observables import layout


@pytest.mark.parametrize("phase", ["ising_symmetry_breaking", "spt_cluster", "trivial_product"])
@pytest.mark.parametrize(("size", "depth", "seed"), [(8, 5, 7), (8, 9, 0), (7, 3, 11), (9, 12, 5)])
def test_the_range_keeps_nine_digits(phase: str, size: int, depth: int, seed: int) -> None:
    correlations = np.abs(statevector.observe(phase, size, depth, seed).up[0, layout(size).far_zz])
    distances = np.arange(1, len(correlations) + 1)
    expected = np.sqrt((distances**2 * correlations).sum() / correlations.sum())
    value = simulator.run_now("run_phase", phase_type=phase, system_size=size, depth=depth, seed=seed)
    assert value["features"]["correlation_range"] == pytest.approx(expected, abs=1e-9)
