"""What every engine reports of a batch of circuits at one depth: all that the features are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Observables:
    """One row a circuit. Entropies in bits, at equal weights of the sectors, the ancilla on the left."""

    layer_entropy: Floats
    """(batch, depth): entropy of the middle cut after each layer."""
    cut_entropy: Floats
    """(batch, n-1): entropy of every cut after the last layer; cut k has sites 0..k on its left."""
    middle_renyi: Floats
    """(batch,): Renyi-2 entropy of the middle cut."""
    up_z: Floats
    """(batch, n): <Z_i> in the up sector, read as <Z_anc Z_i>; zeros where there are no sectors."""
    x: Floats
    """(batch, n): <X_i>."""
    zz: Floats
    """(batch, n-1): <Z_i Z_{i+1}>."""
    far_zz: Floats
    """(batch, n-1-c): abs <Z_c Z_{c+r}> for r = 1.., c = n//4."""
    string: Floats
    """(batch,): abs of the string of ZXZ between n//4 and n-1-n//4."""
    spread: Floats
    """(batch,): mean over sites of the weight of the evolved X_{n//2} on strings that act there."""

    def row(self, index: int) -> Observables:
        """The observables of one circuit, still with a batch axis of length 1."""
        part = slice(index, index + 1)
        return Observables(*(getattr(self, name)[part] for name in self.__slots__))


def from_rows(rows: list[Observables]) -> Observables:
    """A batch put together from single rows of equal size and depth."""
    return Observables(*(np.concatenate([getattr(row, name) for row in rows]) for name in Observables.__slots__))


def middle(size: int) -> int:
    """The middle cut has sites 0..middle-1 on its left."""
    return size // 2


def anchors(size: int) -> tuple[int, int]:
    """The two sites a, b of the long correlation and of the string; a is also where correlations start."""
    return size // 4, size - 1 - size // 4
