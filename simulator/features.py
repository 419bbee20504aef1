"""From observables to the thirteen features, in their fixed order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulator.engines.observables import Floats, Observables, anchors, layout, middle
from simulator.fingerprint import FEATURE_NAMES

DECIMALS = 9


def mixture(observed: Observables, biases: Sequence[float]) -> Floats:
    """Expectation values of bias |up><up| + (1 - bias) |down><down|, (batch, values); `biases` has one per circuit.

    Written so that a value which both sectors share comes out unchanged at every bias.
    """
    tilt = 2.0 * np.asarray(biases, dtype=np.float64)[:, None] - 1.0
    return (observed.up + observed.down) / 2.0 + tilt * ((observed.up - observed.down) / 2.0)


def feature_table(observed: Observables, values: Floats) -> Floats:
    """(batch, 13) of a batch of one size and depth; `values` are the mixture's, exact or estimated from shots."""
    layers = observed.layer_entropy
    size = observed.size
    a, b = anchors(size)
    part = layout(size)
    central = observed.cut_entropy[:, middle(size) - 1]
    if not layers.shape[1]:
        layers = central[:, None]
    far = np.abs(values[:, part.far_zz])
    columns = {
        "entropy_mean": layers.mean(axis=1),
        "entropy_max": layers.max(axis=1),
        "entropy_final": layers[:, -1],
        "entropy_slope": _slope(layers),
        "entropy_per_site": observed.cut_entropy.mean(axis=1) / (size / 2.0),
        "entropy_flatness": np.where(rounded(central) < 1e-6, 1.0, observed.middle_renyi / np.maximum(central, 1e-6)),
        "magnetization": values[:, part.z].mean(axis=1),
        "transverse": values[:, part.x].mean(axis=1),
        "zz_nearest": values[:, part.zz].mean(axis=1),
        "zz_long": far[:, b - a - 1],
        "correlation_range": _range(far),
        "string_order": np.abs(values[:, part.string])[:, 0],
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
    """sqrt(sum r**2 C_r / sum C_r) in sites; 0 if there is nothing to weigh."""
    distances = np.arange(1, far_zz.shape[1] + 1, dtype=np.float64)
    weight = far_zz.sum(axis=1)
    second = far_zz @ distances**2
    # Rounded for the threshold alone: a rounded divisor would cost the range its last digits.
    return np.where(rounded(weight) < 1e-6, 0.0, np.sqrt(second / np.maximum(weight, 1e-6)))


def correlation_lengths(observed: Observables) -> Floats:
    """The second-moment correlation length of the up sector in sites, (batch,).

    sqrt(sum r**2 C_r / (C_0 + 2 sum C_r)) over r = 1.., with C_r = abs(<Z_c Z_{c+r}> - <Z_c><Z_{c+r}>) and
    C_0 = 1 - <Z_c>**2: of C_r = exp(-r/xi) on a long chain it is 1/(2 sinh(1/(2 xi))), about xi.
    A C_r below 1e-12 counts as 0, for a square root would make 1e-7 of its last digit. 0 if site c does not fluctuate.
    """
    part = layout(observed.size)
    z = observed.up[:, part.z]
    c = anchors(observed.size)[0]
    connected = np.abs(observed.up[:, part.far_zz] - z[:, c, None] * z[:, c + 1 :])
    connected[connected < 1e-12] = 0.0
    distances = np.arange(1, connected.shape[1] + 1, dtype=np.float64)
    weight = 1.0 - z[:, c] ** 2 + 2.0 * connected.sum(axis=1)
    second = connected @ distances**2
    return rounded(np.where(rounded(weight) < 1e-6, 0.0, np.sqrt(second / np.maximum(weight, 1e-6))))


def with_shot_noise(values: Floats, shots: int, key: Sequence[int]) -> Floats:
    """The mixture's expectation values as `shots` measurements of each Pauli would estimate them.

    Each value e becomes 2 k / shots - 1 with k from Binomial(shots, (1 + e)/2), drawn from default_rng(key).
    Entropies and the operator spread are not expectation values and stay exact.
    """
    chances = np.clip((1.0 + values) / 2.0, 0.0, 1.0)
    return 2.0 * np.random.default_rng(list(key)).binomial(shots, chances) / shots - 1.0
