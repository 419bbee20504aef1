"""Every engine agrees with density matrices that share no code with it, to the last stored digit."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import simulator
from simulator.batch import Run, measure_runs
from simulator.engines import gaussian, stabilizer, statevector
from simulator.engines.threads import single_threaded
from simulator.experiments.tri import tri_many
from simulator.features import feature_table, mixture
from simulator.fingerprint import FEATURE_NAMES
from simulator.params import PHASES, Tri
from tests.simulator import oracle

DEPTHS = (1, 2, 3, 7, 32)
BIASES = (0.0, 0.3, 0.5, 1.0)
SIZES = (4, 5, 6, 7, 8)
TOLERANCE = 1e-9
"""Between a stored number, rounded to nine decimals, and the oracle's, which is not."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """At these sizes further BLAS threads only wait for each other."""
    with single_threaded():
        yield


@cache
def circuit(phase: str, size: int) -> oracle.Circuit:
    return oracle.Circuit(phase, size, DEPTHS, 0)


@cache
def expected(phase: str, size: int, depth: int, bias: float, sector: str = "mixture") -> dict[str, float]:
    return circuit(phase, size).features(depth, bias, sector)


def vector(features: dict[str, float]) -> list[float]:
    return [features[name] for name in FEATURE_NAMES]


def test_the_oracle_shares_nothing_with_the_simulator() -> None:
    tree = ast.parse(Path(oracle.__file__).read_text(encoding="utf-8"))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "numpy" in imported
    assert {name.split(".")[0] for name in imported}.isdisjoint({"simulator", "pipeline", "tests"})


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("phase", PHASES)
def test_the_fast_engines_agree_with_the_oracle(phase: str, size: int) -> None:
    for depth in DEPTHS:
        measured = measure_runs([Run(phase, size, depth, 0, bias) for bias in BIASES])
        for bias, found in zip(BIASES, measured, strict=True):
            wanted = vector(expected(phase, size, depth, bias))
            np.testing.assert_allclose(found.features, wanted, rtol=0, atol=TOLERANCE, err_msg=f"{depth} {bias}")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("phase", PHASES)
def test_the_state_vector_agrees_with_the_oracle(phase: str, size: int) -> None:
    for depth in DEPTHS:
        dense = statevector.observe(phase, size, depth, 0)
        for bias in BIASES:
            [found] = feature_table(dense, mixture(dense, [bias]))
            wanted = vector(expected(phase, size, depth, bias))
            np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE, err_msg=f"{depth} {bias}")


@pytest.mark.parametrize("sector", ["up", "down"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_sectors_own_entropies_agree_with_the_oracle(phase: str, sector: str) -> None:
    """The sector changes entropies alone; both engines have it from a state that the oracle does not know."""
    for size in SIZES:
        for depth in (1, 2, 3, 7):
            wanted = expected(phase, size, depth, 0.3, sector)
            [found] = measure_runs([Run(phase, size, depth, 0, 0.3, sector=sector)])
            np.testing.assert_allclose(found.features, vector(wanted), rtol=0, atol=TOLERANCE)
            assert found.correlation_length == pytest.approx(wanted["correlation_length"], abs=2e-9)
            dense = statevector.observe(phase, size, depth, 0, operator=False, alone=True)
            [row] = feature_table(dense, mixture(dense, [0.3]))
            np.testing.assert_allclose(row[:-1], vector(wanted)[:-1], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("seed", [1, 2, 2**32 - 1])
@pytest.mark.parametrize("phase", PHASES)
def test_other_seeds_agree_with_the_oracle(phase: str, seed: int) -> None:
    depths = (1, 3, 7)
    for size in (5, 6):
        followed = oracle.Circuit(phase, size, depths, seed)
        for depth in depths:
            [found] = measure_runs([Run(phase, size, depth, seed, 0.8)])
            wanted = vector(followed.features(depth, 0.8))
            np.testing.assert_allclose(found.features, wanted, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("phase", PHASES)
def test_tri_agrees_with_the_oracle(phase: str, size: int) -> None:
    grid = [(depth, bias) for depth in DEPTHS for bias in BIASES]
    asked = [Tri(phase_type=phase, system_size=size, depth=depth, bias=bias) for depth, bias in grid]  # type: ignore[arg-type]
    for (depth, bias), found in zip(grid, tri_many(asked), strict=True):
        wanted = oracle.tri(expected(phase, size, depth, bias), expected(phase, size, depth, 1 - bias))
        assert abs(found["TRI"] - wanted) < TOLERANCE, (depth, bias)


@pytest.mark.parametrize("delta", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("phase", PHASES)
def test_the_echo_agrees_with_the_oracle(phase: str, delta: float) -> None:
    for size, depth, seed in [(4, 1, 0), (5, 2, 1), (6, 3, 2), (7, 7, 3), (8, 3, 4)]:
        wanted = oracle.echo(phase, size, depth, seed, delta)
        dense = statevector.echo(phase, size, depth, seed, delta)
        if phase == "pseudorandom":
            fast = 2.0 ** stabilizer.echo(size, depth, seed, delta)
        else:
            fast = float(2.0 ** gaussian.echo(phase, size, depth, [seed], delta)[0])
        assert abs(fast - wanted) < TOLERANCE and abs(dense - wanted) < TOLERANCE


def test_a_mixture_that_the_flip_does_not_commute_with() -> None:
    """Random Cliffords do not commute with the flip of all spins: odd and even observables both depend on the bias."""
    run = simulator.run_now("run_phase", phase_type="pseudorandom", system_size=4, depth=1, bias=1.0)
    assert run["features"]["magnetization"] == -0.75
    levels = [
        simulator.run_now("tri", phase_type="pseudorandom", system_size=8, depth=1, bias=1.0, seed=seed)
        for seed in range(20)
    ]
    carried = {name for one in levels for name, part in one["contributions"].items() if part > 0}
    assert {"magnetization", "transverse", "zz_nearest"} <= carried
