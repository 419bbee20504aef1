"""What every engine reports of a batch of circuits at one depth: all that the features are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Observables:
    """One row per circuit. Entropies are in bits, of the state that the engine was asked for.

    Expectation values are those of each sector alone, before any bias and any absolute value: without sectors the two
    are equal. `layout` says where each kind is.
    """

    layer_entropy: Floats
    """(batch, depth): entropy of the middle cut after each layer."""
    cut_entropy: Floats
    """(batch, n-1): entropy of every cut after the last layer; cut k has sites 0..k on its left."""
    middle_renyi: Floats
    """(batch,): Renyi-2 entropy of the middle cut."""
    up: Floats
    """(batch, values): expectation values in the up sector."""
    down: Floats
    """(batch, values): expectation values in the down sector."""
    spread: Floats
    """(batch,): mean over sites of the weight of the evolved X_{n//2} on strings that act there."""

    @property
    def size(self) -> int:
        """The number of sites."""
        return self.cut_entropy.shape[1] + 1

    def row(self, index: int) -> Observables:
        """The observables of one circuit, still with a batch axis of length 1."""
        part = slice(index, index + 1)
        return Observables(*(getattr(self, name)[part] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns of `up` and `down` hold which expectation values."""

    z: slice
    """n columns: <Z_i>."""
    x: slice
    """n columns: <X_i>."""
    zz: slice
    """n-1 columns: <Z_i Z_{i+1}>."""
    far_zz: slice
    """n-1-c columns: <Z_c Z_{c+r}> for r = 1.., c = n//4, up to a sign common to both sectors."""
    string: slice
    """One column: the string of ZXZ between n//4 and n-1-n//4, up to a sign common to both sectors."""


@lru_cache(maxsize=1024)
def layout(size: int) -> Layout:
    """The columns of a chain of `size` sites."""
    counts = (size, size, size - 1, size - 1 - anchors(size)[0], 1)
    ends = np.cumsum(counts).tolist()
    return Layout(*(slice(end - count, end) for end, count in zip(ends, counts, strict=True)))


def from_rows(rows: list[Observables]) -> Observables:
    """A batch put together from single rows of equal size and depth."""
    return Observables(*(np.concatenate([getattr(row, name) for row in rows]) for name in Observables.__slots__))


def middle(size: int) -> int:
    """The middle cut has sites 0..middle-1 on its left."""
    return size // 2


def anchors(size: int) -> tuple[int, int]:
    """The two sites a, b of the long correlation and of the string; a is also where correlations start."""
    return size // 4, size - 1 - size // 4
