"""The stabilizer engine: random Clifford brickworks, exactly, for many circuits at once.

The start is (|0>|0...0> + |1>|1...1>)/sqrt(2), the ancilla on site 0 of every string.
Entropies come from the generators' rank (Fattal et al., quant-ph/0406168); expectation
values from the observables carried back to the start (Heisenberg picture), where a string
of w times Z has the same value +-1 in both sectors if w is even and opposite ones if w is odd; any
other string has the value 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simulator.engines import clifford, gf2
from simulator.engines.circuit import gate_draws, layer_bonds
from simulator.engines.clifford import X_CODE, Z_CODE, Codes
from simulator.engines.observables import Observables, anchors, middle

_CHUNK_BYTES = 2**24

Gates = list[NDArray[np.int64]]


def observe(
    size: int, requests: Sequence[tuple[int, Sequence[int]]], *, alone: bool = False
) -> list[list[Observables]]:
    """For each request (seed, ascending depths) the observables at each of its depths; depth 0 is the start.

    With `alone` the entropies are those of the up sector by itself, which equal the down sector's.
    """
    found: list[list[Observables]] = [[] for _ in requests]
    chunk = max(1, min(256, _CHUNK_BYTES // (40 * size * size)))
    order = sorted(range(len(requests)), key=lambda index: -max(requests[index][1]))
    for begin in range(0, len(order), chunk):
        part = order[begin : begin + chunk]
        for index, rows in zip(part, _follow(size, [requests[i] for i in part], alone), strict=True):
            found[index] = rows
    return found


def _follow(size: int, requests: Sequence[tuple[int, Sequence[int]]], alone: bool) -> list[list[Observables]]:
    """`observe` of one chunk whose requests are sorted by greatest depth, deepest first."""
    greatest = [max(depths) for _, depths in requests]
    gates = layer_gates(size, [(seed, deepest) for (seed, _), deepest in zip(requests, greatest, strict=True)])
    codes = start_generators(size, len(requests))
    if alone:
        # |0..0> is fixed by Z on every site; the ancilla then holds |0> and is entangled with nothing.
        codes[:] = Z_CODE * np.eye(size + 1, dtype=np.uint8)
    layers = np.zeros((len(requests), greatest[0]))
    found: list[list[Observables]] = [[] for _ in requests]
    for depth in range(greatest[0] + 1):
        active = sum(deepest >= depth for deepest in greatest)
        codes = codes[:active]
        if depth:
            _forward(codes, gates[depth - 1], depth - 1)
            layers[:active, depth - 1] = _middle_entropy(codes, size)
        wanted = np.array([row for row in range(active) if depth in requests[row][1]], dtype=np.intp)
        if len(wanted):
            whole = _measure(size, codes[wanted], [layer[wanted] for layer in gates[:depth]], layers[wanted, :depth])
            for place, row in enumerate(wanted):
                found[row].append(whole.row(place))
    return found


def layer_gates(size: int, runs: Sequence[tuple[int, int]]) -> Gates:
    """Gate indices of each layer, (runs that are this deep, pairs); runs (seed, depth) come deepest first."""
    draws = [gate_draws(size, depth, seed) for seed, depth in runs]
    deepest = runs[0][1] if runs else 0
    return [np.stack([one[layer] for one in draws if len(one) > layer]) for layer in range(deepest)]


def start_generators(size: int, batch: int) -> Codes:
    """Z Z on every neighbouring pair, ancilla included, and X on all sites: (batch, n+1, n+1) codes."""
    codes = np.zeros((size + 1, size + 1), dtype=np.uint8)
    pairs = np.arange(size)
    codes[pairs, pairs] = codes[pairs, pairs + 1] = Z_CODE
    codes[size] = X_CODE
    return np.repeat(codes[None], batch, axis=0)


def _forward(codes: Codes, gates: NDArray[np.int64], layer: int) -> None:
    clifford.apply_gates(codes, None, gates[: len(codes)], 1 + layer % 2, clifford.forward_table())


def as_bits(codes: Codes) -> NDArray[np.bool_]:
    """Codes (batch, rows, sites) as bits (batch, rows, 2 sites), x before z of each site."""
    bits = np.empty((*codes.shape, 2), dtype=bool)
    bits[..., 0], bits[..., 1] = codes & 2, codes & 1
    return bits.reshape(*codes.shape[:2], -1)


def _middle_entropy(codes: Codes, size: int) -> NDArray[np.float64]:
    """Bits between the two halves: the generators' rank on the right half, less its sites."""
    right = codes[:, :, 1 + middle(size) :]
    return (gf2.rank(as_bits(right)) - right.shape[2]).astype(np.float64)


def _measure(size: int, codes: Codes, gates: Gates, layers: NDArray[np.float64]) -> Observables:
    ranks = gf2.prefix_ranks(as_bits(codes))
    sites_left = np.arange(2, size + 1)
    cuts = (ranks[:, 2 * sites_left - 1] - sites_left).astype(np.float64)
    images = np.repeat(_observables(size)[None], len(codes), axis=0)
    signs = np.zeros(images.shape[:2], dtype=bool)
    table = clifford.backward_table()
    for layer in range(len(gates) - 1, -1, -1):
        clifford.apply_gates(images, signs, gates[layer], layer % 2, table)
    up, down = _sector_values(images[:, :-1], signs[:, :-1])
    return Observables(
        layer_entropy=layers,
        cut_entropy=cuts,
        middle_renyi=cuts[:, middle(size) - 1],
        up=up,
        down=down,
        spread=np.count_nonzero(images[:, -1], axis=1) / size,
    )


def _sector_values(images: Codes, signs: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """<P> in the starts |0..0> and |1..1>, (batch, rows) each: only strings of Z have a value there."""
    odd = np.count_nonzero(images, axis=2) % 2 == 1
    up = np.where(signs, -1.0, 1.0)
    up[np.any(images & X_CODE, axis=2)] = 0.0
    return up, np.where(odd, -up, up)


@lru_cache(maxsize=64)
def _observables(size: int) -> Codes:
    """The Pauli strings to carry back, (values + 1, n) codes: those of `layout`, then the one whose spread counts."""
    a, b = anchors(size)
    strings: list[dict[int, int]] = [{site: Z_CODE} for site in range(size)]
    strings += [{site: X_CODE} for site in range(size)]
    strings += [{site: Z_CODE, site + 1: Z_CODE} for site in range(size - 1)]
    strings += [{a: Z_CODE, site: Z_CODE} for site in range(a + 1, size)]
    strings += [_string(a, b), {middle(size): X_CODE}]
    codes = np.zeros((len(strings), size), dtype=np.uint8)
    for row, string in enumerate(strings):
        codes[row, list(string)] = list(string.values())
    return codes


def _string(a: int, b: int) -> dict[int, int]:
    """prod_{i=a+1..b-1} Z_{i-1} X_i Z_{i+1} up to its sign: Z Y X ... X Y Z, or Z X Z, or nothing."""
    codes: dict[int, int] = {}
    for centre in range(a + 1, b):
        for site, code in ((centre - 1, Z_CODE), (centre, X_CODE), (centre + 1, Z_CODE)):
            codes[site] = codes.get(site, 0) ^ code
    return codes


def echo(size: int, depth: int, seed: int, delta: float) -> float:
    """log2 of |<psi0|psi>|**2 where each gate of the way back is left out with probability delta.

    The way back visits the gates in exactly the reverse order and draws one number for each,
    from default_rng([seed, 1]). Minus infinity where the states are orthogonal.
    """
    draws = gate_draws(size, depth, seed)
    codes, signs = start_generators(size, 1), np.zeros((1, size + 1), dtype=bool)
    for layer, gates in enumerate(draws):
        clifford.apply_gates(codes, signs, gates[None], 1 + layer % 2, clifford.forward_table())
    rng = np.random.default_rng([seed, 1])
    for layer in range(depth - 1, -1, -1):
        bonds = layer_bonds(layer, size)
        kept = rng.random(len(bonds))[::-1] >= delta
        for bond, gate in zip(bonds[kept], draws[layer][kept], strict=True):
            part = np.array([[gate]])
            clifford.apply_gates(codes, signs, part, 1 + int(bond), clifford.backward_table())
    return _overlap(codes[0], signs[0])


def _overlap(codes: Codes, signs: NDArray[np.bool_]) -> float:
    """log2 |<start|state>|**2 from the state's generators.

    Measuring the start's generators in the state: those that are not fixed by it cost a
    factor 1/2 each; those that are must have the right sign (Aaronson and Gottesman 2004).
    """
    import stim

    size = len(codes)
    letters = np.array(["_", "Z", "X", "Y"])
    strings = [
        stim.PauliString(("-" if sign else "+") + "".join(letters[row])) for row, sign in zip(codes, signs, strict=True)
    ]
    simulator = stim.TableauSimulator()
    simulator.set_inverse_tableau(stim.Tableau.from_stabilizers(strings).inverse())
    log = 0.0
    for row in start_generators(size - 1, 1)[0]:
        wanted = stim.PauliString("".join(letters[row]))
        value = simulator.peek_observable_expectation(wanted)
        if value == -1:
            return -float("inf")
        if value == 0:
            log -= 1.0
            simulator.postselect_observable(wanted, desired_value=False)
    return log
