"""Entropies of cuts through a Gaussian state, from no more than what crosses them."""

from __future__ import annotations

from simulator.engines import entropy
from simulator.engines.circuit import Floats
from simulator.engines.majorana import Mask, covariance_block, crossing, legs

# A complex eigenproblem costs this much more than a real one of its size.
_COMPLEX = 1.2


def entropies(frame: Floats, support: Mask, cut: int, gamma: Floats | None = None) -> tuple[Floats, Floats]:
    """Von Neumann and Renyi-2 entropy in bits, (batch,) each, of the cut before Majorana `cut`.

    The smaller of two problems is solved: the crossing pairs (complex), or the Majoranas that they
    touch on one side (real). `gamma` is the whole covariance where it is at hand.
    """
    pairs, left, right = crossing(support, cut)
    if _COMPLEX * len(pairs) < min(len(left), len(right)):
        side = left if len(left) <= len(right) else right
        squared = entropy.pair_spectrum(legs(frame, side, pairs))
        return entropy.von_neumann(squared) / 2.0, entropy.renyi_two(squared) / 2.0
    block = gamma[:, left[:, None], right] if gamma is not None else covariance_block(frame, left, right, pairs)
    squared = entropy.squared_spectrum(block)
    return entropy.von_neumann(squared), entropy.renyi_two(squared)
