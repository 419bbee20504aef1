"""Majorana frames: how the chain's circuits rotate fermions.

    g_{2j} = (prod_{k<j} X_k) Z_j,   g_{2j+1} = (prod_{k<j} X_k) Y_j

so X_j = i g_{2j} g_{2j+1}, Z_j Z_{j+1} = i g_{2j+1} g_{2j+2} and
Z_{j-1} X_j Z_{j+1} = i g_{2j-1} g_{2j+2}. A start pairs Majoranas (p, q) with
<i g_p g_q> = 1. A frame (batch, 2N legs, 2N Majoranas) holds where the first members of
all pairs (the upper half P) and the second members (the lower half Q) have gone; the
covariance is P^T Q - Q^T P. Majoranas are the last axis, for most gates rotate neighbours:
such a pair of numbers is one complex number, and the gate one multiplication by a phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.engines.circuit import TIME_STEP, Couplings, Floats, has_sectors

Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Gates:
    """Simultaneous rotations of Majoranas a = left, left + 2, .. with b = right, right + 2, ..

    `phase` (batch, 1, count) is exp(i angle): g_a + i g_b is multiplied by it.
    """

    left: int
    right: int
    phase: NDArray[np.complex128]

    @property
    def rows(self) -> tuple[slice, slice]:
        """The Majoranas a and b as slices."""
        span = 2 * self.phase.shape[2] - 1
        return slice(self.left, self.left + span, 2), slice(self.right, self.right + span, 2)


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
    """The frame before the first layer, (batch, 2N legs, 2N Majoranas)."""
    pairs = start_pairs(phase, size)
    frame = np.zeros((batch, 2 * len(pairs), 2 * len(pairs)))
    for column, (left, right) in enumerate(pairs):
        frame[:, column, left] = 1.0
        frame[:, len(pairs) + column, right] = 1.0
    return frame


def covariance(frame: Floats, start: int = 0, stop: int | None = None) -> Floats:
    """Gamma_ab = <i g_a g_b> for a, b in start..stop-1."""
    half = frame.shape[1] // 2
    part = frame[:, :, start:stop]
    product = part[:, :half].transpose(0, 2, 1) @ part[:, half:]
    return product - product.transpose(0, 2, 1)


def start_support(phase: str, size: int) -> Mask:
    """Where each pair is before the first layer: (2N, N), true where a Majorana is one of the pair's."""
    pairs = start_pairs(phase, size)
    support = np.zeros((2 * len(pairs), len(pairs)), dtype=bool)
    for column, pair in enumerate(pairs):
        support[list(pair), column] = True
    return support


def spread_support(support: Mask, layer: list[Gates]) -> None:
    """One more layer: where the pairs may have gone, in place. Outside of it frames are exactly zero."""
    for gates in layer:
        left, right = gates.rows
        both = support[left] | support[right]
        support[left] = both
        support[right] = both


def crossing(support: Mask, cut: int) -> tuple[Indices, Indices, Indices]:
    """Pairs that reach across a cut before Majorana `cut`, and the Majoranas of theirs left and right of it."""
    pairs = support[:cut].any(axis=0) & support[cut:].any(axis=0)
    touched: Mask = np.asarray(support[:, pairs].any(axis=1))
    return np.flatnonzero(pairs), np.flatnonzero(touched[:cut]), cut + np.flatnonzero(touched[cut:])


def legs(frame: Floats, members: Indices, pairs: Indices) -> Floats:
    """Where the first, then the second members of some pairs lie among some Majoranas: (batch, 2 pairs, members)."""
    both = np.concatenate([pairs, frame.shape[1] // 2 + pairs])
    return frame[:, both[:, None], members]


def modes(frame: Floats, members: Indices, pairs: Indices) -> NDArray[np.complex128]:
    """The same legs with a pair's two members as one complex number: (batch, pairs, members)."""
    found = np.empty((len(frame), len(pairs), len(members)), dtype=np.complex128)
    found.real = frame[:, pairs[:, None], members]
    found.imag = frame[:, (frame.shape[1] // 2 + pairs)[:, None], members]
    return found


def covariance_block(frame: Floats, rows: Indices, columns: Indices, pairs: Indices) -> Floats:
    """Gamma between two sets of Majoranas, where no pairs but these touch both."""
    above, below = legs(frame, rows, pairs), legs(frame, columns, pairs)
    count = len(pairs)
    crossed = np.concatenate([below[:, count:], -below[:, :count]], axis=1)
    return above.transpose(0, 2, 1) @ crossed


def layer_gates(phase: str, size: int, strengths: Couplings, step: float = TIME_STEP) -> list[Gates]:
    """One layer, exp(i step (J ZZ)), then ZXZ, then X: rotations by twice the angle."""
    first = 2 * ancillas(phase)
    parts = [
        (strengths.zz, first + 1, first + 2),
        (strengths.zxz, first + 1, first + 4),
        (strengths.x, first, first + 1),
    ]
    return [Gates(left, right, np.exp(2j * step * values)[:, None, :]) for values, left, right in parts if values.any()]


def inverse_gates(layer: list[Gates]) -> list[Gates]:
    """The layer run backwards."""
    return [Gates(gates.left, gates.right, gates.phase.conj()) for gates in reversed(layer)]


def rotate(frame: Floats, layer: list[Gates]) -> None:
    """exp(i theta i g_a g_b) of every gate, in place on the last axis: g_a -> cos g_a - sin g_b.

    The last axis is contiguous. With `inverse_gates` this carries operators back to an earlier
    time: row vectors are then multiplied by the rotation from their right.
    """
    for gates in layer:
        phase = gates.phase[: len(frame)]
        if gates.right == gates.left + 1:
            pairs = frame[:, :, gates.left : gates.left + 2 * phase.shape[2]].view(np.complex128)
            pairs *= phase
            continue
        left, right = gates.rows
        turned = (frame[:, :, left] + 1j * frame[:, :, right]) * phase
        frame[:, :, left] = turned.real
        frame[:, :, right] = turned.imag
