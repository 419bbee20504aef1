"""The state-vector engine: slow and exact, by the definitions alone. Every fast engine is tested against it.

A state has one axis of length 2 a site, |0> being Z = +1; where the start has
sectors, axis 0 is the ancilla. Nothing here is shared with the fast engines but the
random draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.engines.circuit import (
    RANDOM_PHASE,
    TIME_STEP,
    Floats,
    couplings,
    gate_draws,
    has_sectors,
    layer_bonds,
)
from simulator.engines.observables import Observables, anchors, middle
from simulator.errors import BadParameter

State = NDArray[np.complex128]

LARGEST_SIZE = 14
LARGEST_OPERATOR_SIZE = 12
LARGEST_DEPTH = 64

PAULIS: dict[str, State] = {
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]], dtype=complex),
    "Z": np.array([[1, 0], [0, -1]], dtype=complex),
}

Gates = list[tuple[State, tuple[int, ...]]]


def apply(gate: State, sites: Sequence[int], state: State) -> State:
    """A gate (2**k, 2**k) on the axes `sites`, the first of them its most significant bit."""
    count = len(sites)
    moved = np.tensordot(gate.reshape((2,) * (2 * count)), state, axes=(range(count, 2 * count), list(sites)))
    return np.moveaxis(moved, range(count), sites)


def apply_string(string: Mapping[int, str], state: State) -> State:
    """A product of Paulis, by site."""
    for site, name in string.items():
        state = apply(PAULIS[name], (site,), state)
    return state


def expectation(string: Mapping[int, str], state: State) -> float:
    """<psi| P |psi> of a product of Paulis."""
    return float(np.vdot(state, apply_string(string, state)).real)


def rotation(angle: float, names: str) -> State:
    """exp(i angle P) = cos(angle) + i sin(angle) P."""
    pauli = np.eye(1, dtype=complex)
    for name in names:
        pauli = np.kron(pauli, PAULIS[name])
    return np.cos(angle) * np.eye(len(pauli)) + 1j * np.sin(angle) * pauli


def gates_of_layer(
    phase: str, size: int, depth: int, seed: int, step: float = TIME_STEP, scale: float = 1.0
) -> list[Gates]:
    """The gates of each layer on sites 0..n-1, in order."""
    if phase == RANDOM_PHASE:
        from simulator.engines.clifford import gate_list

        cliffords = gate_list()
        return [
            [
                (_unitary(cliffords[int(index)]), (int(bond), int(bond) + 1))
                for bond, index in zip(layer_bonds(layer, size), drawn, strict=True)
            ]
            for layer, drawn in enumerate(gate_draws(size, depth, seed))
        ]
    strengths = couplings(phase, size, [seed])
    one: Gates = []
    one += [(rotation(step * scale * j, "ZZ"), (i, i + 1)) for i, j in enumerate(strengths.zz[0])]
    one += [(rotation(step * scale * k, "ZXZ"), (i, i + 1, i + 2)) for i, k in enumerate(strengths.zxz[0])]
    one += [(rotation(step * scale * g, "X"), (i,)) for i, g in enumerate(strengths.x[0])]
    return [one] * depth


def _unitary(tableau: Any) -> State:
    """stim's matrix in double precision: squared magnitudes are quarters, and phases multiples of 45 degrees."""
    single = tableau.to_unitary_matrix(endian="big").astype(complex)
    size = np.sqrt(np.round(4.0 * np.abs(single) ** 2) / 4.0)
    turns = np.round(np.angle(single) / (np.pi / 4.0))
    return size * np.exp(1j * turns * np.pi / 4.0)


def start(phase: str, size: int) -> State:
    """The state before the first layer; the ancilla, where there is one, is axis 0."""
    if has_sectors(phase):
        state = np.zeros((2,) * (size + 1), dtype=complex)
        state[(0,) * (size + 1)] = state[(1,) * (size + 1)] = np.sqrt(0.5)
        return state
    if phase == "trivial_product":
        return np.full((2,) * size, 2.0 ** (-size / 2), dtype=complex)
    return _cluster_start(size)


def _cluster_start(size: int) -> State:
    """All Z X Z = +1 and both end-to-end pairs i g_0 g_{2n-3} and i g_2 g_{2n-1} = +1, by projection."""
    # i g_0 g_{2n-3} = - Y_0 X_1 .. X_{n-3} Y_{n-2}, and i g_2 g_{2n-1} the same one site on.
    ends = [
        {first: "Y", **dict.fromkeys(range(first + 1, first + size - 2), "X"), first + size - 2: "Y"}
        for first in (0, 1)
    ]
    inner = [{centre - 1: "Z", centre: "X", centre + 1: "Z"} for centre in range(1, size - 1)]
    state = np.random.default_rng(0).normal(size=(2,) * size).astype(complex)
    for sign, string in [(1, one) for one in inner] + [(-1, one) for one in ends]:
        state = state + sign * apply_string(string, state)
        state /= np.linalg.norm(state)
    return state


def states(phase: str, size: int, depth: int, seed: int, step: float = TIME_STEP) -> Iterator[State]:
    """The start, then the state after each layer."""
    offset = int(has_sectors(phase))
    state = start(phase, size)
    yield state
    for gates in gates_of_layer(phase, size, depth, seed, step):
        for gate, sites in gates:
            state = apply(gate, [site + offset for site in sites], state)
        yield state


def schmidt_weights(state: State, left: int) -> Floats:
    """Squared Schmidt coefficients between the first `left` axes and the rest."""
    return np.asarray(np.linalg.svd(state.reshape(2**left, -1), compute_uv=False) ** 2, dtype=np.float64)


def entropy_bits(weights: Floats) -> float:
    """- sum p log2 p."""
    positive = weights[weights > 1e-18]
    return float(-np.sum(positive * np.log2(positive)))


def observe(
    phase: str,
    size: int,
    depth: int,
    seed: int,
    step: float = TIME_STEP,
    *,
    operator: bool = True,
    alone: bool = False,
) -> Observables:
    """The observables of one circuit, as the fast engines report them; `alone`: with one sector's entropies.

    Without `operator` the spread is nan, and sizes to 14 fit; with it the dense operator
    bounds them by 12. Raises BadParameter above that, and for more than 64 layers.
    """
    largest = LARGEST_OPERATOR_SIZE if operator else LARGEST_SIZE
    _bounded("system_size", size, 4, largest)
    _bounded("depth", depth, 0, LARGEST_DEPTH)
    extra = int(has_sectors(phase))
    entropies = []
    for state in states(phase, size, depth, seed, step):
        told, left = (np.sqrt(2.0) * state[0], 0) if extra and alone else (state, extra)
        entropies.append(entropy_bits(schmidt_weights(told, middle(size) + left)))
    weights = [schmidt_weights(told, cut + left) for cut in range(1, size)]
    # The ancilla tells the sectors apart: its two slices are their states, each at half the weight.
    sectors = [np.sqrt(2.0) * state[0], np.sqrt(2.0) * state[1]] if extra else [state, state]
    up, down = (np.array([_expectations(size, sector)]) for sector in sectors)
    return Observables(
        layer_entropy=np.array([entropies[1:]]),
        cut_entropy=np.array([[entropy_bits(one) for one in weights]]),
        middle_renyi=np.array([-np.log2(np.sum(weights[middle(size) - 1] ** 2))]),
        up=up,
        down=down,
        spread=np.array([operator_spread(phase, size, depth, seed, step) if operator else np.nan]),
    )


def _bounded(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise BadParameter(f"{name} {value} does not fit the state-vector engine: choose {low} to {high}", name)


def _expectations(size: int, state: State) -> list[float]:
    """The expectation values of one state of the chain, in the order of `layout`."""
    a, b = anchors(size)
    pairs = [(site, site + 1) for site in range(size - 1)] + [(a, site) for site in range(a + 1, size)]
    return [
        *(expectation({site: "Z"}, state) for site in range(size)),
        *(expectation({site: "X"}, state) for site in range(size)),
        *(expectation({left: "Z", right: "Z"}, state) for left, right in pairs),
        _string(state, a, b),
    ]


def _string(state: State, a: int, b: int) -> float:
    """<prod Z_{i-1} X_i Z_{i+1}>, factor by factor; the factors commute, so that it is real."""
    result = state
    for centre in range(a + 1, b):
        result = apply_string({centre - 1: "Z", centre: "X", centre + 1: "Z"}, result)
    return float(np.vdot(state, result).real)


def operator_spread(phase: str, size: int, depth: int, seed: int, step: float = TIME_STEP) -> float:
    """Mean over sites of the weight of U^-1 X_{n//2} U on strings that act there, from the dense operator.

    The weight that does not act on site i is |Tr_i O|**2 / 2 over |O|**2.
    """
    unitary = np.eye(2**size, dtype=complex).reshape((2,) * size + (2**size,))
    for gates in gates_of_layer(phase, size, depth, seed, step):
        for gate, sites in gates:
            unitary = apply(gate, sites, unitary)
    flipped = apply(PAULIS["X"], (middle(size),), unitary)
    square = (2**size, 2**size)
    operator = (unitary.reshape(square).conj().T @ flipped.reshape(square)).reshape((2,) * (2 * size))
    norm = np.linalg.norm(operator) ** 2
    missed = [
        np.linalg.norm(np.trace(operator, axis1=site, axis2=site + size)) ** 2 / (2.0 * norm) for site in range(size)
    ]
    return float(np.mean(1.0 - np.array(missed)))


def echo(phase: str, size: int, depth: int, seed: int, delta: float) -> float:
    """|<psi0|psi>|**2 after the circuit and its imperfect inverse."""
    offset = int(has_sectors(phase))
    *_, state = states(phase, size, depth, seed)
    clifford = phase == RANDOM_PHASE
    rng = np.random.default_rng([seed, 1])
    back = gates_of_layer(phase, size, depth, seed, scale=1.0 if clifford else 1.0 - delta)
    for gates in reversed(back):
        for gate, sites in reversed(gates):
            if clifford and rng.random() < delta:
                continue
            state = apply(gate.conj().T, [site + offset for site in sites], state)
    return float(abs(np.vdot(start(phase, size), state)) ** 2)
