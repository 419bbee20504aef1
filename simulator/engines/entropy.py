"""Entropies of Gaussian fermion states from the squared symplectic spectrum.

Peschel, J. Phys. A 36, L205 (2003); Vidal et al., PRL 90, 227902 (2003). A mode
with covariance eigenvalue nu has entropy h((1 - nu)/2). Everything is a function
of nu**2, which a symmetric eigensolver finds to 1e-15: near nu = 1 that bounds the
error of p by 1e-15, and near nu = 0 the entropy is flat in nu.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


def squared_spectrum(cross: Floats) -> Floats:
    """nu**2 of the modes that a cut entangles, (batch, modes), from the correlations across it.

    `cross` (batch, left, right) is the covariance block between the two sides of a pure state;
    its squared singular values are 1 - nu**2 and come in equal pairs. Rows and columns of zeros
    may be left out: they belong to modes with nu = 1, which have no entropy.
    """
    other = cross.transpose(0, 2, 1)
    gram = cross @ other if cross.shape[1] <= cross.shape[2] else other @ cross
    return np.clip(1.0 - np.linalg.eigvalsh(gram)[:, ::-2], 0.0, 1.0)


def pair_spectrum(modes: Complexes) -> Floats:
    """nu**2 of the modes that a cut entangles, each mode twice, (batch, pairs), from one side's part of the pairs.

    `modes` (batch, pairs, members) holds where on that side a pair's first member lies (real part) and where
    its second does (imaginary part): one complex mode. The overlaps of these modes on one side
    have eigenvalues (1 +- nu)/2 (Klich, J. Phys. A 39, L85 (2006)).
    """
    overlap = modes.conj() @ modes.transpose(0, 2, 1)
    return np.clip((1.0 - np.linalg.eigvalsh(overlap)) ** 2, 0.0, 1.0)


def von_neumann(squared: Floats) -> Floats:
    """Entropy in bits, (batch,), of modes with these nu**2."""
    rare = (1.0 - squared) / (2.0 * (1.0 + np.sqrt(squared)))
    logs = np.log2(np.maximum(rare, 1e-300))
    return np.sum(-rare * logs - (1.0 - rare) * np.log1p(-rare) / np.log(2.0), axis=-1)


def renyi_two(squared: Floats) -> Floats:
    """Renyi-2 entropy in bits, (batch,)."""
    return np.sum(1.0 - np.log2(1.0 + squared), axis=-1)
