"""An oracle for chains of at most eight sites: density matrices, and every definition written out again.

It imports nothing of the simulator: couplings are drawn here, gates are full matrices, a mixture is the sum of
its sectors' density matrices, and there is no ancilla. Site 0 is the most significant bit of a basis state's index, and
|0> has Z = +1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache, reduce
from typing import Any

import numpy as np
import stim
from scipy.linalg import expm

Matrix = Any

I2 = np.eye(2, dtype=complex)
X = np.array([[0, 1], [1, 0]], dtype=complex)
Y = np.array([[0, -1j], [1j, 0]], dtype=complex)
Z = np.diag([1, -1]).astype(complex)
LETTERS = {"I": I2, "X": X, "Y": Y, "Z": Z}
MEAN_COUPLINGS = {
    "ising_symmetry_breaking": (1.0, 0.0, 0.4),
    "spt_cluster": (0.0, 1.0, 0.4),
    "trivial_product": (0.3, 0.0, 1.0),
}
TWO_STARTS = ("ising_symmetry_breaking", "pseudorandom")
DT = 0.2
# A feature's standard deviation over 800 circuits, which a test of `simulator.scales` measures again.
SCALES = {
    "entropy_mean": 1.356694807,
    "entropy_max": 2.243647276,
    "entropy_final": 2.225973396,
    "entropy_slope": 0.257645014,
    "entropy_per_site": 0.169636978,
    "entropy_flatness": 0.258461226,
    "magnetization": 0.39047421,
    "transverse": 0.364151989,
    "zz_nearest": 0.366796653,
    "zz_long": 0.359842021,
    "correlation_range": 6.829822229,
    "string_order": 0.298206748,
    "operator_spread": 0.208915795,
}


def kron(*parts: Matrix) -> Matrix:
    """The Kronecker product of all parts, the first the most significant."""
    return reduce(np.kron, parts)


@lru_cache(maxsize=512)
def pauli(letters: str) -> Matrix:
    """The full matrix of one letter per site."""
    return kron(*(LETTERS[letter] for letter in letters))


def at(size: int, **by_letter: int | tuple[int, ...]) -> str:
    """One letter per site, `Z=(1, 4), X=2`; the rest is the identity."""
    letters = ["I"] * size
    for letter, sites in by_letter.items():
        for site in sites if isinstance(sites, tuple) else (sites,):
            letters[site] = letter
    return "".join(letters)


def embedded(gate: Matrix, first: int, size: int) -> Matrix:
    """A gate on neighbouring sites from `first` on, as a full matrix."""
    width = len(gate).bit_length() - 1
    return kron(np.eye(2**first), gate, np.eye(2 ** (size - first - width)))


def strengths(phase: str, size: int, seed: int) -> tuple[Matrix, Matrix, Matrix]:
    """J on the bonds, K on the centres 1..n-2, g on the sites, in the documented order of draws."""
    rng = np.random.default_rng(seed)
    means = MEAN_COUPLINGS[phase]
    counts = (size - 1, size - 2, size)
    j, k, g = (mean * (1 + 0.3 * rng.uniform(-1, 1, count)) for mean, count in zip(means, counts, strict=True))
    return j, k, g


@cache
def clifford_list() -> list[stim.Tableau]:
    return list(stim.Tableau.iter_all(2))


def clifford_matrix(tableau: stim.Tableau) -> Matrix:
    """A 4 x 4 unitary with the tableau's action, from the images of the generators; its global phase is free."""
    images = [tableau.x_output(0), tableau.x_output(1), tableau.z_output(0), tableau.z_output(1)]
    x0, x1, z0, z1 = (complex(one.sign) * pauli("".join("IXYZ"[code] for code in one)) for one in images)
    onto = (np.eye(4) + z0) @ (np.eye(4) + z1) / 4
    column = onto[:, np.argmax(np.abs(np.diag(onto)))]
    column = column / np.linalg.norm(column)
    return np.stack([column, x1 @ column, x0 @ column, x0 @ x1 @ column], axis=1)


def layers(phase: str, size: int, depth: int, seed: int, scale: float = 1.0) -> Iterator[list[Matrix]]:
    """The gates of each layer in their order, as full matrices."""
    if phase == "pseudorandom":
        rng = np.random.default_rng(seed)
        for layer in range(depth):
            yield [
                embedded(clifford_matrix(clifford_list()[rng.integers(len(clifford_list()))]), bond, size)
                for bond in range(layer % 2, size - 1, 2)
            ]
        return
    j, k, g = strengths(phase, size, seed)
    gates = [embedded(expm(1j * DT * scale * one * kron(Z, Z)), i, size) for i, one in enumerate(j)]
    gates += [embedded(expm(1j * DT * scale * one * kron(Z, X, Z)), i, size) for i, one in enumerate(k)]
    gates += [embedded(expm(1j * DT * scale * one * X), i, size) for i, one in enumerate(g)]
    # Gates of one kind commute, and so does the product of a layer with nothing else: one matrix is enough.
    whole = reduce(lambda done, gate: gate @ done, gates)
    for _ in range(depth):
        yield [whole]


def majorana(index: int, size: int) -> Matrix:
    """g_{2j} = X..X Z_j and g_{2j+1} = X..X Y_j."""
    site, odd = divmod(index, 2)
    return pauli("X" * site + "ZY"[odd] + "I" * (size - site - 1))


def starts(phase: str, size: int) -> list[Matrix]:
    """Density matrices of the start: of the up and the down sector if there are two."""
    if phase in TWO_STARTS:
        up, down = np.zeros((2, 2**size, 2**size), dtype=complex)
        up[0, 0] = down[-1, -1] = 1
        return [up, down]
    one = np.eye(2**size)
    if phase == "trivial_product":
        fixed = [pauli(at(size, X=site)) for site in range(size)]
    else:
        fixed = [pauli(at(size, Z=(i - 1, i + 1), X=i)) for i in range(1, size - 1)]
        for a, b in ((0, 2 * size - 3), (2, 2 * size - 1)):
            fixed.append(1j * majorana(a, size) @ majorana(b, size))
    return [reduce(np.matmul, [(one + part) / 2 for part in fixed])]


def value(rho: Matrix, letters: str) -> float:
    """Tr(rho P)."""
    return float((rho.T * pauli(letters)).sum().real)


def right_part(rho: Matrix, cut: int, size: int) -> Matrix:
    """The reduced density matrix of the sites from `cut` on."""
    shape = (2**cut, 2 ** (size - cut))
    return np.einsum("abac->bc", rho.reshape(*shape, *shape))


def entropy(rho: Matrix) -> float:
    """- Tr rho log2 rho."""
    chances = np.linalg.eigvalsh(rho)
    chances = chances[chances > 1e-15]
    return float(-(chances * np.log2(chances)).sum())


def spread(operator: Matrix, size: int) -> float:
    """Mean over sites of an operator's weight on Pauli strings that act there, from all 4**n coefficients."""
    basis = np.stack([LETTERS[letter] for letter in "IXYZ"])
    tensor = operator.reshape((2,) * (2 * size))
    for site in range(size):
        # The row index of this site is in front; its column index is as far back as there are row indices left.
        tensor = np.tensordot(tensor, basis, axes=([0, size - site], [2, 1]))
    weights = np.abs(tensor) ** 2
    weights = weights / weights.sum()
    return float(np.mean([1.0 - weights.take(0, axis=site).sum() for site in range(size)]))


class Circuit:
    """One circuit followed layer by layer; `at_depth[d]` has the sectors' states after layer d."""

    def __init__(self, phase: str, size: int, depths: tuple[int, ...], seed: int) -> None:
        self.phase, self.size = phase, size
        self.entropies: dict[str, list[float]] = {"mixture": [], "up": [], "down": []}
        self.at_depth: dict[int, list[Matrix]] = {}
        self.spreads: dict[int, float] = {}
        unitary = np.eye(2**size, dtype=complex)
        begin = starts(phase, size)
        for depth, gates in enumerate(layers(phase, size, max(depths), seed), 1):
            for gate in gates:
                unitary = gate @ unitary
            states = [unitary @ rho @ unitary.conj().T for rho in begin]
            for sector, known in self.entropies.items():
                known.append(entropy(right_part(self.of(sector, states), size // 2, size)))
            if depth in depths:
                self.at_depth[depth] = states
                self.spreads[depth] = spread(unitary.conj().T @ pauli(at(size, X=size // 2)) @ unitary, size)

    @staticmethod
    def of(sector: str, states: list[Matrix]) -> Matrix:
        """The state whose entropies are asked for: one sector's, or the sectors' at equal weights."""
        return {"up": states[0], "down": states[-1], "mixture": sum(states) / len(states)}[sector]

    def features(self, depth: int, bias: float, sector: str = "mixture") -> dict[str, float]:
        """The thirteen features, unrounded, and `correlation_length`."""
        n, states = self.size, self.at_depth[depth]
        rho = states[0] if len(states) == 1 else bias * states[0] + (1 - bias) * states[1]
        told = self.of(sector, states)
        by_layer = self.entropies[sector][:depth]
        cuts = [entropy(right_part(told, cut, n)) for cut in range(1, n)]
        central = right_part(told, n // 2, n)
        a, b = n // 4, n - 1 - n // 4
        far = {r: abs(value(rho, at(n, Z=(a, a + r)))) for r in range(1, n - a)}
        string = reduce(np.matmul, [pauli(at(n, Z=(i - 1, i + 1), X=i)) for i in range(a + 1, b)], np.eye(2**n))
        weight = sum(far.values())
        flat = by_layer[-1] < 1e-6
        return {
            "entropy_mean": float(np.mean(by_layer)),
            "entropy_max": max(by_layer),
            "entropy_final": by_layer[-1],
            "entropy_slope": float(np.polyfit(range(depth), by_layer, 1)[0]) if depth > 1 else 0.0,
            "entropy_per_site": float(np.mean(cuts)) / (n / 2),
            "entropy_flatness": 1.0 if flat else -np.log2(np.trace(central @ central).real) / by_layer[-1],
            "magnetization": float(np.mean([value(rho, at(n, Z=i)) for i in range(n)])),
            "transverse": float(np.mean([value(rho, at(n, X=i)) for i in range(n)])),
            "zz_nearest": float(np.mean([value(rho, at(n, Z=(i, i + 1))) for i in range(n - 1)])),
            "zz_long": far[b - a],
            "correlation_range": 0.0 if weight < 1e-6 else (sum(r**2 * c for r, c in far.items()) / weight) ** 0.5,
            "string_order": abs(complex(np.trace(rho @ string))),
            "operator_spread": self.spreads[depth],
            "correlation_length": self._length(states[0]),
        }

    def _length(self, up: Matrix) -> float:
        """The second-moment correlation length of the up sector's connected correlations."""
        n, c = self.size, self.size // 4
        z = [value(up, at(n, Z=i)) for i in range(n)]
        connected = {r: abs(value(up, at(n, Z=(c, c + r))) - z[c] * z[c + r]) for r in range(1, n - c)}
        connected = {r: one for r, one in connected.items() if one >= 1e-12}
        weight = 1 - z[c] ** 2 + 2 * sum(connected.values())
        return 0.0 if weight < 1e-6 else float((sum(r**2 * one for r, one in connected.items()) / weight) ** 0.5)


def tri(forward: dict[str, float], reverse: dict[str, float]) -> float:
    """The distance of two runs' fingerprints, stored with nine decimals, each feature in units of its scale."""
    apart = [(round(forward[name], 9) - round(reverse[name], 9)) / scale for name, scale in SCALES.items()]
    return sum(one**2 for one in apart) ** 0.5


def echo(phase: str, size: int, depth: int, seed: int, delta: float) -> float:
    """abs(mean over the starts of <start|V|start>)**2, V the circuit and its imperfect inverse."""
    forward = list(layers(phase, size, depth, seed))
    clifford = phase == "pseudorandom"
    back = forward if clifford else list(layers(phase, size, depth, seed, 1 - delta))
    rng = np.random.default_rng([seed, 1])
    whole = np.eye(2**size, dtype=complex)
    for gates in forward:
        for gate in gates:
            whole = gate @ whole
    for gates in reversed(back):
        for gate in reversed(gates):
            if not (clifford and rng.random() < delta):
                whole = gate.conj().T @ whole
    amplitudes = [np.trace(rho @ whole) for rho in starts(phase, size)]
    return float(abs(sum(amplitudes) / len(amplitudes)) ** 2)
