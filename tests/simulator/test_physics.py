"""Known physics: what a physicist would check first, against closed forms and textbook behaviour."""

from __future__ import annotations

import numpy as np
import pytest

import simulator
from simulator.batch import Run, measure_runs, observe
from simulator.engines import gaussian
from simulator.engines.observables import layout
from simulator.fingerprint import FEATURE_NAMES, FEATURE_SCALES
from simulator.params import PHASES


@pytest.mark.parametrize("size", [8, 9, 32])
def test_cluster_state_before_the_first_layer(size: int) -> None:
    [[start]] = observe("spt_cluster", size, [(0, [0])])
    part = layout(size)
    assert start.up[0, part.string][0] == pytest.approx(1.0, abs=1e-12)
    assert start.cut_entropy[0, size // 2 - 1] == pytest.approx(2.0, abs=1e-12)
    assert np.abs(start.up[:, part.x]).max() < 1e-12
    assert np.abs(start.up[:, part.zz]).max() < 1e-12


def test_ising_order_survives_and_the_paramagnet_has_none() -> None:
    ising = simulator.measure("ising_symmetry_breaking", 64, 16, 1, bias=1.0)
    trivial = simulator.measure("trivial_product", 64, 16, 1)
    cluster = simulator.measure("spt_cluster", 64, 16, 1)
    assert ising["zz_long"] > 0.5 and ising["magnetization"] > 0.6
    assert trivial["zz_long"] < 0.05 and trivial["transverse"] > 0.9
    assert trivial["magnetization"] == 0.0
    # Order at both ends of a long chain factorises: <Z_a Z_b> is about <Z_a><Z_b>.
    assert ising["zz_long"] == pytest.approx(ising["magnetization"] ** 2, abs=0.1)
    assert cluster["zz_long"] < 0.05


def test_ising_start_carries_one_bit_for_the_broken_symmetry() -> None:
    for phase in ("ising_symmetry_breaking", "pseudorandom"):
        [[start]] = observe(phase, 10, [(4, [0])])
        np.testing.assert_allclose(start.cut_entropy, 1.0, atol=1e-12)
        for sector, sign in ((start.up, 1.0), (start.down, -1.0)):
            np.testing.assert_allclose(sector[:, layout(10).z], sign, atol=1e-12)
            np.testing.assert_allclose(sector[:, layout(10).zz], 1.0, atol=1e-12)


@pytest.mark.parametrize("bias", [0.0, 0.3, 0.5, 0.65, 1.0])
def test_tri_of_ising_has_a_closed_form(bias: float) -> None:
    result = simulator.run_now("tri", phase_type="ising_symmetry_breaking", system_size=12, depth=5, seed=9, bias=bias)
    up = simulator.measure("ising_symmetry_breaking", 12, 5, 9, bias=1.0)["magnetization"]
    closed = abs(2 * (2 * bias - 1) * up) / FEATURE_SCALES["magnetization"]
    assert result["TRI"] == pytest.approx(closed, abs=1e-7)
    assert all(value == 0 for name, value in result["contributions"].items() if name != "magnetization")


@pytest.mark.parametrize("phase", ["spt_cluster", "trivial_product"])
def test_tri_is_zero_without_sectors(phase: str) -> None:
    assert simulator.run_now("tri", phase_type=phase, system_size=8, bias=0.9)["TRI"] == 0.0


def test_deep_random_circuits_reach_the_page_value() -> None:
    for size in (8, 12):
        runs = measure_runs([Run("pseudorandom", size, 32, seed) for seed in range(100)])
        final = np.mean([run.features[FEATURE_NAMES.index("entropy_final")] for run in runs])
        assert abs(final - size // 2) < 0.75
        spread = np.mean([run.features[FEATURE_NAMES.index("operator_spread")] for run in runs])
        assert spread == pytest.approx(0.75, abs=0.05)


def test_stabilizer_entropies_are_whole_bits_with_a_flat_spectrum() -> None:
    for run in measure_runs([Run("pseudorandom", 20, 6, seed) for seed in range(8)]):
        assert all(value == int(value) for value in run.entropy_by_layer)
        assert run.named["entropy_flatness"] == 1.0


@pytest.mark.parametrize("phase", ["ising_symmetry_breaking", "spt_cluster", "trivial_product"])
def test_energy_drift_is_of_first_order_in_the_time_step(phase: str) -> None:
    seeds = range(4)
    coarse = gaussian.energies(phase, 16, seeds, 16, step=0.05)
    fine = gaussian.energies(phase, 16, seeds, 32, step=0.025)
    drifts = [np.abs(one - one[:, :1]).max(axis=1) for one in (coarse, fine)]
    np.testing.assert_allclose(drifts[1] / drifts[0], 0.5, atol=0.1)


@pytest.mark.parametrize("phase", ["ising_symmetry_breaking", "spt_cluster", "trivial_product"])
def test_entropy_equals_that_of_the_whole_left_block(phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from simulator.engines import cuts, entropy, majorana
    from simulator.engines.circuit import couplings

    frame, support = majorana.start_frame(phase, 20, 2), majorana.start_support(phase, 20)
    gates = majorana.layer_gates(phase, 20, couplings(phase, 20, [2, 3]))
    for _ in range(3):
        majorana.rotate(frame, gates)
        majorana.spread_support(support, gates)
        for cut in range(2, frame.shape[1], 2):
            block = majorana.covariance(frame, 0, cut)
            squared = np.clip(np.linalg.eigvalsh(block @ block.transpose(0, 2, 1))[:, ::2], 0, 1)
            for factor in (0.0, 1.2, 1e9):
                monkeypatch.setattr(cuts, "_COMPLEX", factor)
                found, renyi = cuts.entropies(frame, support, cut)
                np.testing.assert_allclose(found, entropy.von_neumann(squared), atol=1e-10)
                np.testing.assert_allclose(renyi, entropy.renyi_two(squared), atol=1e-10)


@pytest.mark.parametrize("phase", ["spt_cluster", "trivial_product"])
def test_correlations_beyond_the_light_cone_vanish(phase: str) -> None:
    """The engine leaves them out; the Pfaffians that it leaves out are zero."""
    from simulator.engines import majorana, pfaffian
    from simulator.engines.circuit import couplings
    from simulator.engines.gaussian import _reach

    size, a = 48, 12
    frame = majorana.start_frame(phase, size, 2)
    gates = majorana.layer_gates(phase, size, couplings(phase, size, [2, 3]))
    for depth in range(8):
        segment = majorana.covariance(frame)[:, 2 * a + 1 : -1, 2 * a + 1 : -1]
        reach = _reach(phase, a, depth)
        far = pfaffian.leading_magnitudes(segment)
        if reach is not None:
            assert np.abs(far[:, reach:]).max(initial=0.0) < 1e-12
        majorana.rotate(frame, gates)


def test_covariance_stays_pure() -> None:
    from simulator.engines import majorana
    from simulator.engines.circuit import couplings

    frame = majorana.start_frame("spt_cluster", 40, 1)
    gates = majorana.layer_gates("spt_cluster", 40, couplings("spt_cluster", 40, [2]))
    for _ in range(500):
        majorana.rotate(frame, gates)
    gamma = majorana.covariance(frame)
    np.testing.assert_allclose(gamma[0] @ gamma[0], -np.eye(80), atol=1e-11)


@pytest.mark.parametrize("phase", PHASES)
def test_bounds_of_every_feature(phase: str) -> None:
    for run in measure_runs([Run(phase, size, depth, 3) for size in (4, 5, 31) for depth in (1, 9)]):
        named = run.named
        assert len(named) == 13
        assert 0 <= named["operator_spread"] <= 1
        assert all(abs(named[name]) <= 1 for name in ("magnetization", "transverse", "zz_nearest", "zz_long"))
        assert 0 <= named["entropy_flatness"] <= 1 + 1e-9
        assert named["entropy_max"] >= named["entropy_mean"] >= 0


def test_four_sites_have_an_empty_string() -> None:
    assert simulator.measure("trivial_product", 4, 3, 0)["string_order"] == 1.0
    assert simulator.measure("pseudorandom", 4, 3, 0)["string_order"] == 1.0


def test_perfect_echo_is_one_and_imperfect_echo_is_less() -> None:
    for phase in PHASES:
        perfect = simulator.run_now("echo", phase_type=phase, system_size=20, depth=6, delta=0)
        assert perfect["echo"] == 1.0 and perfect["bits_per_site"] == 0.0
        lossy = simulator.run_now("echo", phase_type=phase, system_size=20, depth=6, delta=0.5)
        assert lossy["echo"] < 1.0


def test_large_chains_and_deep_circuits() -> None:
    features = simulator.measure("ising_symmetry_breaking", 256, 3, 1)
    assert 0.8 < features["zz_nearest"] < 1
    assert simulator.measure("trivial_product", 8, 300, 1)["entropy_mean"] > 0
