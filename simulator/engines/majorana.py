"""Majorana frames: how the chain's circuits rotate fermions.

    g_{2j} = (prod_{k<j} X_k) Z_j,   g_{2j+1} = (prod_{k<j} X_k) Y_j

so X_j = i g_{2j} g_{2j+1}, Z_j Z_{j+1} = i g_{2j+1} g_{2j+2} and
Z_{j-1} X_j Z_{j+1} = i g_{2j-1} g_{2j+2}. A start pairs Majoranas (p, q) with
<i g_p g_q> = 1. A frame (batch, 2N, 2N) holds where the first members of all pairs
(its left half) and the second members (its right half) have gone; the covariance is
P Q^T - Q P^T. Rotating a frame costs half of rotating a covariance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.engines.circuit import TIME_STEP, Couplings, Floats, has_sectors

Gate = tuple[slice, slice, Floats, Floats]
Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]


def ancillas(phase: str) -> int:
    """Sites left of the chain: 1 where the start has sectors."""
    return int(has_sectors(phase))


def start_pairs(phase: str, size: int) -> list[tuple[int, int]]:
    """The Majorana pairs (p, q) with <i g_p g_q> = 1 before the first layer."""
    if phase == "spt_cluster":
        return [(2 * j - 1, 2 * j + 2) for j in range(1, size - 1)] + [(0, 2 * size - 3), (2, 2 * size - 1)]
    if phase == "trivial_product":
        return [(2 * j, 2 * j + 1) for j in range(size)]
    total = size + ancillas(phase)
    return [(2 * j + 1, 2 * j + 2) for j in range(total - 1)] + [(0, 2 * total - 1)]


def start_frame(phase: str, size: int, batch: int) -> Floats:
    """The frame before the first layer, (batch, 2N, 2N)."""
    pairs = start_pairs(phase, size)
    frame = np.zeros((batch, 2 * len(pairs), 2 * len(pairs)))
    for column, (left, right) in enumerate(pairs):
        frame[:, left, column] = 1.0
        frame[:, right, len(pairs) + column] = 1.0
    return frame


def covariance(frame: Floats, start: int = 0, stop: int | None = None) -> Floats:
    """Gamma_ab = <i g_a g_b> for a, b in start..stop-1."""
    half = frame.shape[2] // 2
    rows = frame[:, start:stop]
    product = rows[:, :, :half] @ rows[:, :, half:].transpose(0, 2, 1)
    return product - product.transpose(0, 2, 1)


def start_support(phase: str, size: int) -> Mask:
    """Where each pair is before the first layer: (2N, N), true where a Majorana is one of the pair's."""
    pairs = start_pairs(phase, size)
    support = np.zeros((2 * len(pairs), len(pairs)), dtype=bool)
    for column, pair in enumerate(pairs):
        support[list(pair), column] = True
    return support


def spread_support(support: Mask, gates: list[Gate]) -> None:
    """One more layer: where the pairs may have gone, in place. Outside of it frames are exactly zero."""
    for left, right, _, _ in gates:
        both = support[left] | support[right]
        support[left] = both
        support[right] = both


def crossing(support: Mask, cut: int) -> tuple[Indices, Indices, Indices]:
    """Pairs that reach across a cut before Majorana `cut`, and the Majoranas of theirs left and right of it."""
    pairs = support[:cut].any(axis=0) & support[cut:].any(axis=0)
    touched: Mask = np.asarray(support[:, pairs].any(axis=1))
    return np.flatnonzero(pairs), np.flatnonzero(touched[:cut]), cut + np.flatnonzero(touched[cut:])


def legs(frame: Floats, rows: Indices, pairs: Indices) -> Floats:
    """Where the first, then the second members of some pairs lie among some Majoranas: (batch, rows, 2 pairs)."""
    return frame[:, rows[:, None], np.concatenate([pairs, frame.shape[2] // 2 + pairs])]


def covariance_block(frame: Floats, rows: Indices, columns: Indices, pairs: Indices) -> Floats:
    """Gamma between two sets of Majoranas, where no pairs but these touch both."""
    above, below = legs(frame, rows, pairs), legs(frame, columns, pairs)
    count = len(pairs)
    crossed = np.concatenate([below[:, :, count:], -below[:, :, :count]], axis=2)
    return above @ crossed.transpose(0, 2, 1)


def layer_gates(phase: str, size: int, strengths: Couplings, step: float = TIME_STEP) -> list[Gate]:
    """One layer as simultaneous rotations: rows a, rows b, cos and sin of twice the angle, (batch, pairs, 1)."""
    first = 2 * ancillas(phase)
    parts = [
        (strengths.zz, first + 1, first + 2, size - 1),
        (strengths.zxz, first + 1, first + 4, size - 2),
        (strengths.x, first, first + 1, size),
    ]
    gates: list[Gate] = []
    for values, left, right, count in parts:
        if not values.any():
            continue
        angle = 2.0 * step * values[:, :, None]
        left_rows = slice(left, left + 2 * count - 1, 2)
        right_rows = slice(right, right + 2 * count - 1, 2)
        gates.append((left_rows, right_rows, np.cos(angle), np.sin(angle)))
    return gates


def inverse_gates(gates: list[Gate]) -> list[Gate]:
    """The layer run backwards."""
    return [(left, right, cos, -sin) for left, right, cos, sin in reversed(gates)]


def rotate(frame: Floats, gates: list[Gate]) -> None:
    """exp(i theta i g_a g_b) of every gate on the frame's rows, in place: g_a -> cos g_a - sin g_b."""
    for left, right, cos, sin in gates:
        batch = len(frame)
        above, below = frame[:, left], frame[:, right]
        cos, sin = cos[:batch], sin[:batch]
        turned = cos * above
        turned -= sin * below
        above_part = sin * above
        below *= cos
        below += above_part
        frame[:, left] = turned


def pull_back(rows: Floats, gates: list[Gate]) -> Floats:
    """Row vectors (batch, m, 2N) of the total rotation times one more layer on their right, the earliest."""
    for left, right, cos, sin in reversed(gates):
        cos, sin = cos[: len(rows)].transpose(0, 2, 1), sin[: len(rows)].transpose(0, 2, 1)
        above, below = rows[:, :, left].copy(), rows[:, :, right].copy()
        rows[:, :, left] = cos * above + sin * below
        rows[:, :, right] = cos * below - sin * above
    return rows
