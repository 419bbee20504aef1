"""The Gaussian engine: Ising, cluster and trivial circuits exactly, to any depth, as free Majoranas.

A gate costs O(n), the features O(n**3) a matrix. Many circuits of one phase and
size are followed together; each leaves the batch after its deepest request.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulator.engines import cuts, majorana, pfaffian
from simulator.engines.circuit import TIME_STEP, Floats, couplings
from simulator.engines.memory import keep_freed
from simulator.engines.observables import Observables, anchors, layout, middle

_CHUNK_BYTES = 2**22


def chunk_size(phase: str, size: int) -> int:
    """Circuits followed together: frames of about four megabytes bound the memory and stay near the cache."""
    modes = 2 * (size + majorana.ancillas(phase))
    return max(1, _CHUNK_BYTES // (8 * modes * modes))


def observe(
    phase: str,
    size: int,
    requests: Sequence[tuple[int, Sequence[int]]],
    step: float = TIME_STEP,
    *,
    alone: bool = False,
) -> list[list[Observables]]:
    """For each request (seed, ascending depths) the observables at each of its depths; depth 0 is the start.

    With `alone` the entropies are those of the up sector by itself, which equal the down sector's.
    """
    keep_freed()
    order = sorted(range(len(requests)), key=lambda index: -max(requests[index][1]))
    found: list[list[Observables]] = [[] for _ in requests]
    chunk = chunk_size(phase, size)
    for begin in range(0, len(order), chunk):
        part = order[begin : begin + chunk]
        for index, rows in zip(part, _follow(phase, size, [requests[i] for i in part], step, alone), strict=True):
            found[index] = rows
    return found


def _follow(
    phase: str, size: int, requests: Sequence[tuple[int, Sequence[int]]], step: float, alone: bool
) -> list[list[Observables]]:
    """`observe` of one chunk whose requests are sorted by greatest depth, deepest first."""
    gates = majorana.layer_gates(phase, size, couplings(phase, size, [seed for seed, _ in requests]), step)
    backward = majorana.inverse_gates(gates)
    frame = majorana.start_frame(phase, size, len(requests))
    support = majorana.start_support(phase, size)
    spins = _start_operator(phase, size, len(requests))
    cut = 2 * (middle(size) + majorana.ancillas(phase))
    greatest = [max(depths) for _, depths in requests]
    layers = np.zeros((len(requests), greatest[0]))
    found: list[list[Observables]] = [[] for _ in requests]
    for depth in range(greatest[0] + 1):
        active = sum(deepest >= depth for deepest in greatest)
        frame, spins = frame[:active], spins[:active]
        if depth:
            majorana.rotate(frame, gates)
            majorana.spread_support(support, gates)
            majorana.rotate(spins, backward)
        central = cuts.entropies(frame, support, cut, alone=alone)
        if depth:
            layers[:active, depth - 1] = central[0]
        wanted = [row for row in range(active) if depth in requests[row][1]]
        if wanted:
            chosen = slice(None) if len(wanted) == active else wanted
            both = central[0][chosen], central[1][chosen]
            whole = _measure(phase, size, frame[chosen], support, spins[chosen], layers[wanted, :depth], both, alone)
            for place, row in enumerate(wanted):
                found[row].append(whole.row(place))
    return found


def _start_operator(phase: str, size: int, batch: int) -> Floats:
    """X_c = i g_{2c} g_{2c+1} as two unit rows, (batch, 2, 2N)."""
    extra = majorana.ancillas(phase)
    rows = np.zeros((batch, 2, 2 * (size + extra)))
    for row in range(2):
        rows[:, row, 2 * (middle(size) + extra) + row] = 1.0
    return rows


def _measure(
    phase: str,
    size: int,
    frame: Floats,
    support: majorana.Mask,
    spins: Floats,
    layers: Floats,
    central: tuple[Floats, Floats],
    alone: bool,
) -> Observables:
    """All observables of one depth; `central` are the middle cut's two entropies, which are known already."""
    extra = majorana.ancillas(phase)
    gamma = majorana.covariance(frame)
    first = 2 * extra
    others = [cut for cut in range(1, size) if cut != middle(size)]
    profile = cuts.profile(frame, support, [2 * (cut + extra) for cut in others], gamma, alone=alone)
    by_cut = np.insert(profile, middle(size) - 1, central[0], axis=1)
    up, down = _expectations(phase, size, gamma, layers.shape[1])
    return Observables(
        layer_entropy=layers,
        cut_entropy=by_cut,
        middle_renyi=central[1],
        up=up,
        down=down,
        spread=_spread(spins[:, :, first:]),
    )


def _expectations(phase: str, size: int, gamma: Floats, depth: int) -> tuple[Floats, Floats]:
    """The expectation values in the up and in the down sector, (batch, values) each.

    The circuit commutes with the flip of all spins, so that the sectors differ in the sign of <Z_i> alone.
    """
    extra = majorana.ancillas(phase)
    first = 2 * extra
    a, b = anchors(size)
    segment = gamma[:, first + 2 * a + 1 : -1, first + 2 * a + 1 : -1]
    if extra:
        z = pfaffian.leading_pfaffians(gamma[:, 1:-1, 1:-1])
        far = pfaffian.leading_pfaffians(segment)
    else:
        z = np.zeros((len(gamma), size))
        far = _far_correlations(segment, _reach(phase, a, depth))
    odd, even = np.arange(2 * a + 1, 2 * b - 2, 2), np.arange(2 * a + 4, 2 * b + 1, 2)
    members = first + np.sort(np.concatenate([odd, even]))
    x = np.diagonal(gamma[:, first::2, first + 1 :: 2], axis1=1, axis2=2)
    zz = np.diagonal(gamma[:, first + 1 : -1 : 2, first + 2 :: 2], axis1=1, axis2=2)
    string = pfaffian.magnitude(gamma[:, members[:, None], members])
    up = np.clip(np.concatenate([z, x, zz, far, string[:, None]], axis=1), -1.0, 1.0)
    if not extra:
        return up, up
    down = up.copy()
    down[:, layout(size).z] *= -1.0
    return up, down


def _reach(phase: str, first: int, depth: int) -> int | None:
    """The largest distance at which site `first` can have ZZ correlations; None where there is no bound.

    A layer carries Z one site further in the trivial phase and two in the cluster phase. Where the
    carried operators do not meet, their expectation is the product of two that vanish by symmetry.
    The cluster's end-to-end pairs spoil this only for a site whose cone reaches the left end.
    """
    if phase == "trivial_product":
        return 2 * depth
    return 4 * depth + 2 if first - 2 * depth > 2 else None


def _far_correlations(segment: Floats, reach: int | None) -> Floats:
    """abs <Z_a Z_{a+r}> for r = 1.., from the covariance right of site a."""
    distances = segment.shape[1] // 2
    near = distances if reach is None else min(reach, distances)
    found = np.zeros((len(segment), distances))
    found[:, :near] = pfaffian.leading_magnitudes(segment[:, : 2 * near, : 2 * near])
    return found


def _spread(spins: Floats) -> Floats:
    """Mean weight on strings that act on a site, from rows u, v of the evolved g_{2c}, g_{2c+1}.

    A pair (k, l) acts on every site from k's to l's. What misses a site lies wholly left
    or wholly right of it, and sum_{k<l} (u_k v_l - u_l v_k)**2 = |u|^2 |v|^2 - (u.v)^2.
    """
    u, v = spins[:, 0], spins[:, 1]
    products = np.stack([u * u, v * v, u * v])
    batch = products.shape[1]
    by_site = products.reshape(3, batch, -1, 2).sum(axis=3)
    before = np.cumsum(by_site, axis=2) - by_site
    after = np.cumsum(by_site[:, :, ::-1], axis=2)[:, :, ::-1] - by_site
    missed = before[0] * before[1] - before[2] ** 2 + after[0] * after[1] - after[2] ** 2
    return np.mean(1.0 - missed, axis=1)


def energies(phase: str, size: int, seeds: Sequence[int], depth: int, step: float = TIME_STEP) -> Floats:
    """<H> before the first and after each layer, (batch, depth + 1), in units of the largest mean coupling."""
    strengths = couplings(phase, size, seeds)
    gates = majorana.layer_gates(phase, size, strengths, step)
    frame = majorana.start_frame(phase, size, len(seeds))
    first = 2 * majorana.ancillas(phase)
    found = []
    for layer in range(depth + 1):
        if layer:
            majorana.rotate(frame, gates)
        gamma = majorana.covariance(frame)
        x = np.diagonal(gamma[:, first::2, first + 1 :: 2], axis1=1, axis2=2)
        zz = np.diagonal(gamma[:, first + 1 : -1 : 2, first + 2 :: 2], axis1=1, axis2=2)
        zxz = np.diagonal(gamma[:, first + 1 : -4 : 2, first + 4 :: 2], axis1=1, axis2=2)
        terms = (strengths.x * x).sum(1) + (strengths.zz * zz).sum(1) + (strengths.zxz * zxz).sum(1)
        found.append(-terms)
    return np.stack(found, axis=1)


def echo(phase: str, size: int, depth: int, seeds: Sequence[int], delta: float) -> Floats:
    """log2 of |<psi0|psi>|**2, (batch,), after the circuit and its inverse with couplings times 1 - delta.

    |<a|b>|**2 = sqrt(det((Gamma_a + Gamma_b)/2)) for pure states of equal parity
    (Bravyi, Quant. Inf. Comp. 5, 216 (2005)). Minus infinity where the overlap is 0.
    """
    strengths = couplings(phase, size, seeds)
    frame = majorana.start_frame(phase, size, len(seeds))
    before = majorana.covariance(frame)
    forward = majorana.layer_gates(phase, size, strengths)
    backward = majorana.inverse_gates(majorana.layer_gates(phase, size, strengths.scaled(1.0 - delta)))
    for _ in range(depth):
        majorana.rotate(frame, forward)
    for _ in range(depth):
        majorana.rotate(frame, backward)
    log = np.linalg.slogdet((before + majorana.covariance(frame)) / 2.0)[1]
    return np.minimum(log / (2.0 * np.log(2.0)), 0.0)
