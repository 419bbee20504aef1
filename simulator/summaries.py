"""One plain sentence for a run: what its numbers say, with their units."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.params import PHASES_WITH_SECTORS, RunPhase


def summarise(params: RunPhase, features: Mapping[str, float]) -> str:
    """What the run shows, from its own features."""
    head = f"{params.phase_type}, {params.system_size} qubits, {params.depth} layers, seed {params.seed}: "
    entropy = f"entropy {features['entropy_final']:.3f} bits across the middle cut"
    return head + _TELLING[params.phase_type](features) + ", " + entropy + _whose(params) + "."


def _whose(params: RunPhase) -> str:
    """Whose entropy it is, in a phase that starts in two sectors."""
    if params.phase_type not in PHASES_WITH_SECTORS:
        return ""
    if params.sector != "mixture":
        return f" of the {params.sector} sector alone"
    if params.phase_type == "pseudorandom":
        return " of both sectors together"
    return ", of which up to one bit is the choice between the two sectors"


def _ising(features: Mapping[str, float]) -> str:
    return (
        f"long-range ZZ order {features['zz_long']:.3f}, magnetization {features['magnetization']:.3f}, "
        f"correlation range {features['correlation_range']:.2f} sites"
    )


def _cluster(features: Mapping[str, float]) -> str:
    return f"string order {features['string_order']:.3f} without local order (ZZ at distance {features['zz_long']:.3f})"


def _trivial(features: Mapping[str, float]) -> str:
    return f"transverse polarization {features['transverse']:.3f}, long-range ZZ order {features['zz_long']:.3f}"


def _random(features: Mapping[str, float]) -> str:
    spread, slope = features["operator_spread"], features["entropy_slope"]
    return f"operator spread {spread:.3f}, entropy growth {slope:.3f} bits per layer"


_TELLING = {
    "ising_symmetry_breaking": _ising,
    "spt_cluster": _cluster,
    "trivial_product": _trivial,
    "pseudorandom": _random,
}
