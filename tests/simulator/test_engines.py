"""Each fast engine equals the state vector: the same observables to 1e-9, over phases, sizes, depths and seeds."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.batch import Run, measure_runs, observe
from simulator.engines import gaussian, stabilizer, statevector
from simulator.engines.observables import Observables, layout
from simulator.features import feature_table, mixture
from simulator.params import PHASES

TOLERANCE = 1e-9
GAUSSIAN = [phase for phase in PHASES if phase != "pseudorandom"]


def assert_equal(fast: Observables, exact: Observables) -> None:
    for field in fields(Observables):
        left, right = getattr(fast, field.name), getattr(exact, field.name)
        if field.name in ("up", "down"):
            left, right = (unsigned(one, fast.size) for one in (left, right))
        if np.isnan(right).any():
            continue
        assert left.shape == right.shape, field.name
        np.testing.assert_allclose(left, right, rtol=0, atol=TOLERANCE, err_msg=field.name)


def unsigned(values: np.ndarray, size: int) -> np.ndarray:
    """The values without the signs that `layout` leaves open."""
    part = layout(size)
    return np.concatenate([values[:, : part.zz.stop], np.abs(values[:, part.zz.stop :])], axis=1)


@pytest.mark.parametrize("size", range(4, 11))
@pytest.mark.parametrize("phase", PHASES)
def test_observables_equal_the_state_vector(phase: str, size: int) -> None:
    depths = range(1, 13)
    seeds = (0, 7)
    batch = observe(phase, size, [(seed, depths) for seed in seeds])
    for seed, rows in zip(seeds, batch, strict=True):
        for depth, fast in zip(depths, rows, strict=True):
            assert_equal(fast, statevector.observe(phase, size, depth, seed, operator=False))


@pytest.mark.parametrize(("size", "depth"), [(4, 12), (5, 1), (5, 7), (6, 2), (6, 12), (7, 3), (7, 9), (8, 4), (9, 3)])
@pytest.mark.parametrize("phase", PHASES)
def test_operator_spread_equals_the_dense_operator(phase: str, size: int, depth: int) -> None:
    for seed in (1, 2):
        [[fast]] = observe(phase, size, [(seed, [depth])])
        assert abs(fast.spread[0] - statevector.operator_spread(phase, size, depth, seed)) < TOLERANCE


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    phase=st.sampled_from(PHASES),
    size=st.integers(4, 7),
    depth=st.integers(1, 10),
    seed=st.integers(0, 2**32 - 1),
    bias=st.floats(0, 1),
)
def test_features_equal_the_state_vector(phase: str, size: int, depth: int, seed: int, bias: float) -> None:
    dense = statevector.observe(phase, size, depth, seed)
    exact = feature_table(dense, mixture(dense, [bias]))[0]
    fast = measure_runs([Run(phase, size, depth, seed, bias)])[0].features
    np.testing.assert_allclose(fast, exact, rtol=0, atol=2e-9)


@pytest.mark.parametrize("step", [0.05, 0.6])
@pytest.mark.parametrize("phase", GAUSSIAN)
def test_time_step_is_an_engine_argument(phase: str, step: float) -> None:
    [[fast]] = observe(phase, 6, [(5, [4])], step)
    assert_equal(fast, statevector.observe(phase, 6, 4, 5, step))


@pytest.mark.parametrize("delta", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("phase", PHASES)
def test_echo_equals_the_state_vector(phase: str, delta: float) -> None:
    for size, depth, seed in [(4, 3, 0), (5, 6, 1), (7, 2, 2), (8, 9, 3)]:
        exact = statevector.echo(phase, size, depth, seed, delta)
        if phase == "pseudorandom":
            fast = 2.0 ** stabilizer.echo(size, depth, seed, delta)
        else:
            fast = float(2.0 ** gaussian.echo(phase, size, depth, [seed], delta)[0])
        assert abs(fast - exact) < TOLERANCE


@pytest.mark.parametrize("phase", PHASES)
def test_results_do_not_depend_on_the_batch(phase: str) -> None:
    runs = [Run(phase, 16, depth, seed) for seed in range(5) for depth in (1, 6, 3)]
    together = measure_runs(runs)
    alone = [measure_runs([run])[0] for run in runs]
    assert together == alone
    assert measure_runs(runs[::-1])[::-1] == together
    assert measure_runs(runs) == together


def test_chunks_do_not_change_results(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [Run(phase, 12, 5, seed) for phase in PHASES for seed in range(7)]
    whole = measure_runs(runs)
    monkeypatch.setattr(gaussian, "_CHUNK_BYTES", 1)
    monkeypatch.setattr(stabilizer, "_CHUNK_BYTES", 1)
    assert measure_runs(runs) == whole


def test_state_vector_refuses_what_does_not_fit() -> None:
    from simulator.errors import BadParameter

    with pytest.raises(BadParameter, match=r"system_size 13 .*choose 4 to 12"):
        statevector.observe("spt_cluster", 13, 1, 0)
    with pytest.raises(BadParameter, match=r"depth 1024 does not fit the state-vector engine: choose 0 to 64"):
        statevector.observe("spt_cluster", 4, 1024, 0)
