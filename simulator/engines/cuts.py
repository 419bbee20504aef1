"""Entropies of cuts through a Gaussian state, from no more than what crosses them.

A state whose start has sectors is purified by an ancilla on the left, which counts one bit for their mixture. The up
sector's own entropies come from the same frame: Z_anc O has in it the value that O has in the up sector, and the
operators of sites 0..k-1, odd ones times Z_anc, are the even products of g_1 .. g_{2k+1}. So g_0 = Z_anc, which no
other operator needs, goes to the other side of the cut. The odd number of Majoranas left of it has one mode of
eigenvalue 0 that belongs to nobody; its bit is taken off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.engines import entropy
from simulator.engines.circuit import Floats
from simulator.engines.majorana import Mask, covariance_block, crossing, modes

Problem = NDArray[Any]

# A complex eigenproblem costs this much more than a real one of its size.
_COMPLEX = 1.2
_TOGETHER_BYTES = 2**21


def entropies(
    frame: Floats, support: Mask, cut: int, gamma: Floats | None = None, *, alone: bool = False
) -> tuple[Floats, Floats]:
    """Von Neumann and Renyi-2 entropy in bits, (batch,) each, of the cut before Majorana `cut`.

    `gamma` is the whole covariance if it is at hand; `alone` asks for the up sector's own entropies.
    """
    if alone:
        frame, support, cut, gamma = np.roll(frame, -1, axis=2), np.roll(support, -1, axis=0), cut - 1, None
    problem, share = _problem(frame, support, cut, gamma)
    squared = _solve(problem)
    return share * (entropy.von_neumann(squared) - alone), share * (entropy.renyi_two(squared) - alone)


def profile(frame: Floats, support: Mask, places: Sequence[int], gamma: Floats, *, alone: bool = False) -> Floats:
    """Von Neumann entropies in bits, (batch, cuts), of the cuts before the Majoranas `places`.

    Cuts whose problems have one shape, as neighbours in the bulk mostly have, are solved together, 2 MB at a time.
    """
    if alone:
        frame, support = np.roll(frame, -1, axis=2), np.roll(support, -1, axis=0)
        gamma = np.roll(gamma, (-1, -1), axis=(1, 2))
        places = [cut - 1 for cut in places]
    found = np.empty((len(frame), len(places)))
    waiting: dict[tuple[float, ...], list[tuple[int, Problem]]] = defaultdict(list)
    held = 0
    for column, cut in enumerate(places):
        problem, share = _problem(frame, support, cut, gamma)
        waiting[share, *problem.shape[1:]].append((column, problem))
        held += problem.nbytes
        if held >= _TOGETHER_BYTES or column == len(places) - 1:
            for (weight, *_), members in waiting.items():
                bits = entropy.von_neumann(_solve(np.concatenate([one for _, one in members]))) - alone
                found[:, [place for place, _ in members]] = weight * bits.reshape(len(members), -1).T
            waiting.clear()
            held = 0
    return found


def _problem(frame: Floats, support: Mask, cut: int, gamma: Floats | None) -> tuple[Problem, float]:
    """What gives the cut's spectrum, and what share of the spectrum's entropy is the cut's.

    The smaller of two is taken: the crossing pairs as complex modes, each of which is found twice, or
    the correlations (real) between the Majoranas that they touch on either side.
    """
    pairs, left, right = crossing(support, cut)
    if _COMPLEX * len(pairs) < min(len(left), len(right)):
        return modes(frame, left if len(left) <= len(right) else right, pairs), 0.5
    if gamma is not None:
        return gamma[:, left[:, None], right], 1.0
    return covariance_block(frame, left, right, pairs), 1.0


def _solve(problem: Problem) -> Floats:
    return entropy.pair_spectrum(problem) if np.iscomplexobj(problem) else entropy.squared_spectrum(problem)
