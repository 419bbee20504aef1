"""stim's two-qubit Cliffords as lookup tables, so that whole batches of gates are one indexing.

A Pauli on one site is a code 2x + z: 0 is I, 1 is Z, 2 is X, 3 is Y. A pair of
sites is 4 * left + right. A table entry is the code of the image, plus 16 where the
image has a minus sign.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import stim
from numpy.typing import NDArray

from simulator.engines.circuit import CLIFFORDS

Codes = NDArray[np.uint8]

Z_CODE, X_CODE = 1, 2
MINUS = 16


@lru_cache(maxsize=1)
def gate_list() -> list[stim.Tableau]:
    """Every two-qubit Clifford, in stim's order; the first qubit is the left site."""
    return list(stim.Tableau.iter_all(2))


@lru_cache(maxsize=1)
def forward_table() -> Codes:
    """(11520, 16): the image of each Pauli pair under P -> C P C^-1."""
    bits, signs = _generators()
    codes = np.arange(16)
    # Powers of X_left, Z_left, X_right, Z_right in each pair.
    powers = np.stack([codes >> 3 & 1, codes >> 2 & 1, codes >> 1 & 1, codes & 1])
    image = np.zeros((CLIFFORDS, 16, 4), dtype=np.int64)
    # A Hermitian Pauli is i^(x.z) X^x Z^z: phases of i are counted in that order of factors.
    phase = np.broadcast_to(powers[0] * powers[1] + powers[2] * powers[3], (CLIFFORDS, 16)).copy()
    for generator in range(4):
        used = powers[generator][None, :]
        factor = bits[:, generator, None, :] * used[:, :, None]
        own = factor[..., 0] * factor[..., 1] + factor[..., 2] * factor[..., 3]
        crossing = image[..., 1] * factor[..., 0] + image[..., 3] * factor[..., 2]
        phase += own + 2 * crossing + 2 * signs[:, generator, None] * used
        image ^= factor
    phase -= image[..., 0] * image[..., 1] + image[..., 2] * image[..., 3]
    found = image @ np.array([8, 4, 2, 1]) + MINUS * (phase % 4 // 2)
    return found.astype(np.uint8)


@lru_cache(maxsize=1)
def backward_table() -> Codes:
    """(11520, 16): the image of each Pauli pair under P -> C^-1 P C."""
    forward = forward_table()
    found = np.empty_like(forward)
    codes = np.broadcast_to(np.arange(16, dtype=np.uint8), forward.shape)
    np.put_along_axis(found, (forward & 15).astype(np.intp), codes | (forward & MINUS), axis=1)
    return found


def _generators() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Images of X_left, Z_left, X_right, Z_right: (11520, 4, 4) bits x_l z_l x_r z_r, and (11520, 4) sign bits."""
    bits = np.empty((CLIFFORDS, 4, 4), dtype=np.int64)
    signs = np.empty((CLIFFORDS, 4), dtype=np.int64)
    for index, tableau in enumerate(gate_list()):
        x2x, x2z, z2x, z2z, x_signs, z_signs = tableau.to_numpy()
        for qubit in range(2):
            bits[index, 2 * qubit, 0::2], bits[index, 2 * qubit, 1::2] = x2x[qubit], x2z[qubit]
            bits[index, 2 * qubit + 1, 0::2], bits[index, 2 * qubit + 1, 1::2] = z2x[qubit], z2z[qubit]
            signs[index, 2 * qubit], signs[index, 2 * qubit + 1] = x_signs[qubit], z_signs[qubit]
    return bits, signs


def apply_gates(
    codes: Codes, signs: NDArray[np.bool_] | None, gates: NDArray[np.int64], first: int, table: Codes
) -> None:
    """One brickwork layer on Pauli strings (batch, rows, sites), in place.

    `gates` (batch, pairs) act on the neighbouring pairs that start at site `first`;
    `signs` (batch, rows) flips where a string picks up a minus.
    """
    pairs = gates.shape[1]
    left = codes[:, :, first : first + 2 * pairs : 2]
    right = codes[:, :, first + 1 : first + 2 * pairs : 2]
    image = table.ravel()[(gates * 16)[:, None, :] + (left * np.uint8(4) + right)]
    left[...] = image >> 2 & 3
    right[...] = image & 3
    if signs is not None:
        signs ^= np.bitwise_xor.reduce(image, axis=2) & MINUS != 0
