"""Pfaffians of the leading blocks of antisymmetric matrices: products of neighbouring Majoranas.

Wimmer, ACM TOMS 38, 30 (2012) for the pivoted form. By Wick's theorem
<prod_j i g_{2j} g_{2j+1}> of a Gaussian state is the Pfaffian of its covariance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# An elimination step multiplies rounding errors by about this much at worst; a
# thousand keeps twelve digits of the sixteen.
_SAFE_GROWTH = 1e3
_LOOK_AHEAD = 12
# Index pairs of a 4 x 4 matrix, the pairs that are left, and the sign of the permutation of all four.
_COMPLEMENTS = (
    ((0, 1), (2, 3), 1),
    ((0, 2), (1, 3), -1),
    ((0, 3), (1, 2), 1),
    ((1, 2), (0, 3), 1),
    ((1, 3), (0, 2), -1),
    ((2, 3), (0, 1), 1),
)


def leading_magnitudes(matrix: Floats) -> Floats:
    """abs Pf of the leading blocks of size 2, 4, ..., (batch, k), of matrices (batch, 2k, 2k).

    sqrt|det| is accurate to rounding also at zero: a singular antisymmetric matrix
    lacks two ranks, so the determinant's error there is of second order.
    """
    pairs = matrix.shape[1] // 2
    found = np.empty((len(matrix), pairs))
    for pair in range(1, pairs + 1):
        found[:, pair - 1] = magnitude(matrix[:, : 2 * pair, : 2 * pair])
    return found


def magnitude(matrix: Floats) -> Floats:
    """abs Pf, (batch,); 1 of an empty matrix."""
    return np.sqrt(np.abs(np.linalg.det(matrix)))


def leading_pfaffians(matrix: Floats) -> Floats:
    """Signed Pf of the leading blocks of size 2, 4, ..., (batch, k), of matrices (batch, 2k, 2k).

    One elimination, of four rows a step, gives all of them. It cannot pivot, for the blocks have a
    fixed order; where a pivot is small the matrix is done again with look-ahead.
    """
    batch, pairs = len(matrix), matrix.shape[1] // 2
    band = _bandwidth(matrix)
    found = np.empty((batch, pairs))
    rest, product, growth = matrix.copy(), np.ones(batch), np.zeros(batch)
    for step in range(0, pairs, 2):
        top, below = 2 * step, 2 * step + 4
        found[:, step] = product * rest[:, top, top + 1]
        if step + 1 == pairs:
            break
        dual, pivot = _dual(rest[:, top:below, top:below])
        product = product * pivot
        found[:, step + 1] = product
        if step + 2 == pairs:
            break
        window = slice(below, below + band)
        side = rest[:, top:below, window]
        safe = np.where(np.abs(pivot) < 1e-30, 1e-30, pivot)[:, None, None]
        # Where one matrix overflows it is done again below; the others must not see a warning.
        with np.errstate(over="ignore", invalid="ignore"):
            inverse = dual / safe
            growth = np.maximum(growth, np.abs(inverse).max(axis=(1, 2)) * np.abs(side).max(axis=(1, 2)) ** 2)
            rest[:, window, window] += side.transpose(0, 2, 1) @ (inverse @ side)
    for index in np.flatnonzero(~(growth < _SAFE_GROWTH)):
        found[index] = _with_look_ahead(matrix[index])
    return found


def _dual(head: Floats) -> tuple[Floats, Floats]:
    """Of antisymmetric (batch, 4, 4): the matrix whose quotient by the Pfaffian is the inverse, and the Pfaffian."""
    dual = np.zeros_like(head)
    for (row, column), (first, second), sign in _COMPLEMENTS:
        dual[:, row, column] = -sign * head[:, first, second]
        dual[:, column, row] = -dual[:, row, column]
    pivot = head[:, 0, 1] * head[:, 2, 3] - head[:, 0, 2] * head[:, 1, 3] + head[:, 0, 3] * head[:, 1, 2]
    return dual, pivot


def _bandwidth(matrix: Floats) -> int:
    """The greatest distance from the diagonal at which some matrix is not zero; elimination keeps within it."""
    rows, columns = np.nonzero(np.any(matrix != 0.0, axis=0))
    return int(np.max(np.abs(rows - columns), initial=1))


def _with_look_ahead(matrix: Floats) -> Floats:
    """As `leading_pfaffians` of one matrix: eliminates blocks that are large enough to be well-conditioned."""
    found: list[float] = []
    before, rest = 1.0, matrix
    while len(rest):
        block, least = _block_size(rest)
        if least < 1e-12:
            block = len(rest) // 2
        found += [before * pfaffian(rest[: 2 * size, : 2 * size]) for size in range(1, block + 1)]
        before = found[-1]
        head, side = rest[: 2 * block, : 2 * block], rest[: 2 * block, 2 * block :]
        if not side.size:
            break
        rest = rest[2 * block :, 2 * block :] + side.T @ np.linalg.solve(head, side)
        rest = (rest - rest.T) / 2
    return np.array(found)


def _block_size(rest: Floats) -> tuple[int, float]:
    """The first leading block, in pairs, that is well-conditioned, else the best; and its least singular value."""
    best = (1, -1.0)
    for size in range(1, min(_LOOK_AHEAD, len(rest) // 2) + 1):
        least = float(np.linalg.svd(rest[: 2 * size, : 2 * size], compute_uv=False)[-1])
        if least > 0.1:
            return size, least
        if least > best[1]:
            best = (size, least)
    return best


def pfaffian(matrix: Floats) -> float:
    """Signed Pfaffian of one antisymmetric matrix by Parlett-Reid elimination with pivoting."""
    rest, result = np.array(matrix, dtype=np.float64), 1.0
    for first in range(0, len(rest) - 1, 2):
        pivot = first + 1 + int(np.argmax(np.abs(rest[first + 1 :, first])))
        if pivot != first + 1:
            rest[[first + 1, pivot]] = rest[[pivot, first + 1]]
            rest[:, [first + 1, pivot]] = rest[:, [pivot, first + 1]]
            result = -result
        value = rest[first, first + 1]
        if value == 0.0:
            return 0.0
        result *= value
        tau, below = rest[first, first + 2 :] / value, rest[first + 2 :, first + 1]
        change = np.outer(tau, below)
        rest[first + 2 :, first + 2 :] += change - change.T
    return float(result)
