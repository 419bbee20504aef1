"""From observables to the thirteen features, in their fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from simulator.engines.observables import Floats, Observables, anchors, middle
from simulator.fingerprint import FEATURE_NAMES

DECIMALS = 9


def feature_table(observed: Observables, biases: Sequence[float]) -> Floats:
    """(batch, 13) of a batch of one size and depth; `biases` has one entry a circuit."""
    layers = observed.layer_entropy
    size = observed.x.shape[1]
    a, b = anchors(size)
    central = observed.cut_entropy[:, middle(size) - 1]
    if not layers.shape[1]:
        layers = central[:, None]
    tilt = 2.0 * np.asarray(biases, dtype=np.float64) - 1.0
    columns = {
        "entropy_mean": layers.mean(axis=1),
        "entropy_max": layers.max(axis=1),
        "entropy_final": layers[:, -1],
        "entropy_slope": _slope(layers),
        "entropy_per_site": observed.cut_entropy.mean(axis=1) / (size / 2.0),
        "entropy_flatness": np.where(rounded(central) < 1e-6, 1.0, observed.middle_renyi / np.maximum(central, 1e-6)),
        "magnetization": tilt * observed.up_z.mean(axis=1),
        "transverse": observed.x.mean(axis=1),
        "zz_nearest": observed.zz.mean(axis=1),
        "zz_long": observed.far_zz[:, b - a - 1],
        "correlation_range": _range(observed.far_zz),
        "string_order": observed.string,
        "operator_spread": observed.spread,
    }
    return rounded(np.stack([columns[name] for name in FEATURE_NAMES], axis=1))


def rounded(values: Floats) -> Floats:
    """Nine decimals, and no negative zero: the text of a number is the same wherever it is shown."""
    return np.round(values, DECIMALS) + 0.0


def _slope(layers: Floats) -> Floats:
    """Least-squares slope per layer, (batch,); 0 of a single layer."""
    depth = layers.shape[1]
    if depth < 2:
        return np.zeros(len(layers))
    centred = np.arange(depth) - (depth - 1) / 2.0
    return layers @ centred / (centred @ centred)


def _range(far_zz: Floats) -> Floats:
    """sqrt(sum r**2 C_r / sum C_r) in sites; 0 where there is nothing to weigh."""
    distances = np.arange(1, far_zz.shape[1] + 1, dtype=np.float64)
    weight = far_zz.sum(axis=1)
    second = far_zz @ distances**2
    # Rounded for the threshold alone: a rounded divisor would cost the range its last digits.
    return np.where(rounded(weight) < 1e-6, 0.0, np.sqrt(second / np.maximum(weight, 1e-6)))


def with_shot_noise(
    observed: Observables, bias: float, shots: int, key: Sequence[int], *, sectors: bool
) -> Observables:
    """One circuit's observables as `shots` measurements of each Pauli would estimate them.

    Each expectation value e becomes 2 k / shots - 1 with k from Binomial(shots, (1 + e)/2),
    drawn from default_rng(key). Where there are sectors it is the mixture's own <Z_i>,
    (2 bias - 1) times the up sector's, that is estimated: `up_z` then holds it, to be read at
    bias 1. Entropies and the operator spread are no expectation values and stay exact.
    """
    rng = np.random.default_rng(list(key))

    def estimate(values: Floats) -> Floats:
        return 2.0 * rng.binomial(shots, np.clip((1.0 + values) / 2.0, 0.0, 1.0)) / shots - 1.0

    return replace(
        observed,
        up_z=estimate((2.0 * bias - 1.0) * observed.up_z) if sectors else observed.up_z,
        x=estimate(observed.x),
        zz=estimate(observed.zz),
        far_zz=np.abs(estimate(observed.far_zz)),
        string=np.abs(estimate(observed.string)),
    )
