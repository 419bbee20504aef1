"""The small parts with an independent answer: Pfaffians, ranks, Clifford tables, digests, scales."""

from __future__ import annotations

import numpy as np
import pytest
import stim

from simulator import scales
from simulator.engines import clifford, gf2, pfaffian
from simulator.engines.circuit import couplings, gate_draws
from simulator.fingerprint import FEATURE_NAMES, FEATURE_SCALES, PHYSICS_VERSION


def antisymmetric(size: int, seed: int) -> np.ndarray:
    matrix = np.random.default_rng(seed).normal(size=(size, size))
    return matrix - matrix.T


def expanded(matrix: np.ndarray) -> float:
    """The Pfaffian by expansion along the first row."""
    if not len(matrix):
        return 1.0
    total = 0.0
    for column in range(1, len(matrix)):
        kept = [index for index in range(1, len(matrix)) if index != column]
        total += (-1) ** (column - 1) * matrix[0, column] * expanded(matrix[np.ix_(kept, kept)])
    return total


def test_pfaffians_have_the_sign_of_their_expansion() -> None:
    for seed in range(6):
        matrix = antisymmetric(8, seed)
        exact = [expanded(matrix[:size, :size]) for size in (2, 4, 6, 8)]
        np.testing.assert_allclose(pfaffian.leading_pfaffians(matrix[None])[0], exact, rtol=1e-10)
        np.testing.assert_allclose(pfaffian.leading_magnitudes(matrix[None])[0], np.abs(exact), rtol=1e-10)
        assert pfaffian.pfaffian(matrix) == pytest.approx(exact[-1], rel=1e-12)


@pytest.mark.parametrize("small", [0.0, 1e-18, 1e-9, 1e-5])
def test_pfaffians_survive_vanishing_pivots(small: float) -> None:
    matrix = antisymmetric(12, 3) / 4
    matrix[0, 1], matrix[1, 0] = small, -small
    exact = [expanded(matrix[:size, :size]) for size in range(2, 13, 2)]
    np.testing.assert_allclose(pfaffian.leading_pfaffians(matrix[None])[0], exact, rtol=0, atol=1e-13)


def test_banded_pfaffians() -> None:
    matrix = antisymmetric(12, 4)
    matrix[np.abs(np.subtract.outer(np.arange(12), np.arange(12))) > 3] = 0.0
    exact = [expanded(matrix[:size, :size]) for size in range(2, 13, 2)]
    np.testing.assert_allclose(pfaffian.leading_pfaffians(matrix[None])[0], exact, rtol=1e-10)


def test_pfaffians_of_a_singular_matrix_vanish() -> None:
    matrix = np.zeros((2, 10, 10))
    matrix[1, :4, :4] = antisymmetric(4, 1)
    found = pfaffian.leading_pfaffians(matrix)
    assert np.all(found[0] == 0) and np.all(found[1, 2:] == 0)
    assert found[1, 1] == pytest.approx(expanded(matrix[1, :4, :4]))


def test_ranks_equal_a_plain_elimination() -> None:
    rng = np.random.default_rng(5)
    bits = rng.random((6, 9, 150)) < 0.2
    ranks = gf2.prefix_ranks(bits)
    for matrix, row in zip(bits, ranks, strict=True):
        for columns in (1, 5, 64, 65, 150):
            assert row[columns - 1] == plain_rank(matrix[:, :columns])
    assert gf2.rank(bits[:, :, :0]).tolist() == [0] * 6


def plain_rank(matrix: np.ndarray) -> int:
    basis: list[int] = []
    for row in matrix:
        value = int("".join("1" if bit else "0" for bit in row), 2)
        for one in basis:
            value = min(value, value ^ one)
        if value:
            basis.append(value)
    return len(basis)


def test_tables_are_stims_cliffords() -> None:
    names = "_ZXY"
    forward, backward = clifford.forward_table(), clifford.backward_table()
    gates = clifford.gate_list()
    for index in np.random.default_rng(1).integers(len(gates), size=60):
        for code in range(16):
            string = stim.PauliString(names[code >> 2] + names[code & 3])
            for table, gate in ((forward, gates[index]), (backward, gates[index].inverse())):
                entry = int(table[index, code])
                shown = ("-" if entry & 16 else "+") + names[entry >> 2 & 3] + names[entry & 3]
                assert str(gate(string)) == shown


def test_physics_version_is_made_of_draws_cliffords_features_and_scales() -> None:
    assert scales.draws_digest() == "1734c0f4b1dc8300"
    assert scales.cliffords_digest() == "7dd0b63ed12e17c8"
    assert scales.physics_version() == PHYSICS_VERSION


def test_draws_are_in_the_order_of_the_design() -> None:
    rng = np.random.default_rng(42)
    zz = 1 * (1 + 0.3 * rng.uniform(-1, 1, 9))
    rng.uniform(-1, 1, 8)
    field = 0.4 * (1 + 0.3 * rng.uniform(-1, 1, 10))
    found = couplings("ising_symmetry_breaking", 10, [42])
    np.testing.assert_array_equal(found.zz[0], zz)
    np.testing.assert_allclose(found.x[0], field, rtol=1e-15)
    assert not found.zxz.any()
    fresh = np.random.default_rng(42)
    one_by_one = [[int(fresh.integers(11520)) for _ in range(count)] for count in (5, 4, 5)]
    assert [layer.tolist() for layer in gate_draws(10, 3, 42)] == one_by_one


def test_the_script_reproduces_the_scales() -> None:
    measured = scales.measured_scales()
    for name in FEATURE_NAMES:
        assert measured[name] == pytest.approx(FEATURE_SCALES[name], abs=2e-9)
