"""Closed forms that no engine knows: the chain's dispersion, TRI of Ising, unitarity and light cones at 256 sites."""

from __future__ import annotations

import numpy as np
import pytest

import simulator
from simulator.batch import observe
from simulator.engines import majorana
from simulator.engines.circuit import Couplings
from simulator.engines.observables import layout
from simulator.fingerprint import FEATURE_SCALES

GAUSSIAN = ("ising_symmetry_breaking", "spt_cluster", "trivial_product")


def one_layer(size: int, zz: float, x: float, step: float) -> np.ndarray:
    """How one layer of the uniform transverse-field chain rotates the Majoranas, (2n, 2n)."""
    strengths = Couplings(np.full((1, size - 1), zz), np.zeros((1, size - 2)), np.full((1, size), x))
    gates = majorana.layer_gates("trivial_product", size, strengths, step)
    frame = np.eye(2 * size)[None].copy()
    majorana.rotate(frame, gates)
    return frame[0]


@pytest.mark.parametrize(("zz", "x"), [(1.0, 0.4), (0.3, 1.0), (0.7, 0.7)])
def test_the_bulk_has_the_dispersion_of_the_transverse_field_chain(zz: float, x: float) -> None:
    """cos E = cos 2a cos 2b + sin 2a sin 2b cos k for a layer of angles a = dt J and b = dt g, E per layer.

    For dt to 0 it is dt times the chain's own 2 sqrt(J^2 + g^2 - 2 J g cos k) (Pfeuty, Ann. Phys. 57, 79 (1970)).
    A plane wave in the middle of a long chain, far from its ends, turns by exactly that angle.
    """
    size, step = 120, 0.2
    layer = one_layer(size, zz, x, step)
    a, b = 2 * step * zz, 2 * step * x
    for k in (0.0, 0.3, 1.0, 2.0, np.pi):
        block = np.zeros((2, 2), dtype=complex)
        middle = size // 2
        for shift in (-2, -1, 0, 1, 2):
            rows, columns = slice(2 * middle, 2 * middle + 2), 2 * (middle + shift)
            block += np.exp(1j * k * shift) * layer[rows, columns : columns + 2]
        angles = np.abs(np.angle(np.linalg.eigvals(block)))
        expected = np.arccos(np.cos(a) * np.cos(b) + np.sin(a) * np.sin(b) * np.cos(k))
        np.testing.assert_allclose(angles, expected, atol=1e-7)
    fine = one_layer(size, zz, x, 1e-4)
    assert np.abs(np.angle(np.linalg.eigvals(fine))).max() / 1e-4 == pytest.approx(2 * (zz + x), rel=1e-3)


@pytest.mark.parametrize("bias", [0.0, 0.2, 0.5, 0.65, 1.0])
@pytest.mark.parametrize(("size", "depth"), [(5, 3), (32, 8), (256, 32)])
def test_tri_of_ising_is_its_magnetization(size: int, depth: int, bias: float) -> None:
    up = simulator.measure("ising_symmetry_breaking", size, depth, 3, bias=1.0)["magnetization"]
    found = simulator.run_now(
        "tri", phase_type="ising_symmetry_breaking", system_size=size, depth=depth, seed=3, bias=bias
    )
    assert found["TRI"] == pytest.approx(abs(2 * (2 * bias - 1) * up) / FEATURE_SCALES["magnetization"], abs=2e-8)


@pytest.mark.parametrize("phase", GAUSSIAN)
def test_a_chain_of_256_sites_stays_pure(phase: str) -> None:
    from simulator.engines.circuit import couplings

    gates = majorana.layer_gates(phase, 256, couplings(phase, 256, [5]))
    frame = majorana.start_frame(phase, 256, 1)
    for _ in range(32):
        majorana.rotate(frame, gates)
    gamma = majorana.covariance(frame)[0]
    np.testing.assert_allclose(gamma @ gamma, -np.eye(len(gamma)), atol=1e-12)


@pytest.mark.parametrize(
    ("phase", "speed"), [("ising_symmetry_breaking", 1), ("trivial_product", 1), ("spt_cluster", 2)]
)
def test_an_operator_stays_in_its_light_cone_at_256_sites(phase: str, speed: int) -> None:
    """After d layers X_c acts on at most `speed` sites more to each side a layer: the rest has weight exactly 0."""
    for depth in (1, 4, 16):
        [[found]] = observe(phase, 256, [(2, [depth])])
        cone = 2 * speed * depth + 1 + 2 * speed
        assert found.spread[0] <= cone / 256


def test_random_gates_keep_their_light_cone_at_256_sites() -> None:
    """Correlations of a product start cannot reach further than two cones, and each sector's values are 0 or +-1."""
    for depth in (1, 2, 5):
        [[found]] = observe("pseudorandom", 256, [(2, [depth])])
        assert found.spread[0] <= 2 * depth / 256
        part = layout(256)
        far, z = found.up[0, part.far_zz], found.up[0, part.z]
        connected = np.abs(far) - np.abs(z[64] * z[65:])
        assert np.all(connected[2 * 2 * depth :] == 0)
        assert set(np.unique(np.abs(found.up))) <= {0.0, 1.0} and np.array_equal(np.abs(found.up), np.abs(found.down))
