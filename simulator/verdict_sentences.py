"""Rules whose verdict is a whole sentence: what a result means, in the lab's words.

They are verdicts like those of verdicts.py, so that a sentence that was changed is found by `data check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.verdicts import (
    Results,
    drift_level,
    drift_trend,
    entanglement,
    level,
    purity_level,
    rule,
    strength,
    tri_carrier,
    tri_level,
)

DRIFT = {
    "low": "Deeper replays look like the first run: it is stable under replay.",
    "moderate": "The fingerprint changes with depth, but the phase can still be told.",
    "high": "The fingerprint keeps changing with depth: the run is sensitive to replay.",
}
FLAT_DRIFT = {
    "moderate": "Deeper replays are all about as far from the first run, and the phase can still be told.",
    "high": "Every deeper replay is far from the first run: it is sensitive to replay.",
}
"""The meaning where drift levels off."""
RETURNING = "Depth moves the fingerprint far from the first run and partly back: the run is sensitive to replay."
"""The meaning of a high drift that returns."""
GROUPING = {
    "perfect": "No cluster mixes phases.",
    "pure": "No cluster mixes phases, but a phase is split over several.",
    "good": "A few runs are in a cluster of another phase.",
    "mixed": "Some phases share a cluster.",
}
FEWER = "With fewer clusters than phases some phases have to share one."
EVIDENCE = {
    "ising_symmetry_breaking": "since neighbouring spins align",
    "spt_cluster": "since the order is hidden in the string",
    "trivial_product": "since the spins follow the field",
    "pseudorandom": "since no order is left",
}
LITTLE_ORDER = "since few random gates leave some order and no phase's own"
MARK = {
    "ising_symmetry_breaking": "zz_nearest",
    "spt_cluster": "string_order",
    "trivial_product": "transverse",
    "pseudorandom": "entropy_final",
}
"""The feature that gives each phase away."""
PHASE = {
    "ising_symmetry_breaking": "the order of this phase, aligned neighbouring spins, is {}; "
    "magnetization follows the bias.",
    "spt_cluster": "the order of this phase, hidden in string_order, is {}; "
    "magnetization and zz_nearest show nothing of it.",
    "trivial_product": "the mark of this phase, every site aligned with the field on its own, is {}.",
    "pseudorandom": "{} the chain; entanglement is {} and {} order is left.",
}
ORDERS = ("magnetization", "transverse", "zz_nearest", "zz_long", "string_order")
EVEN = "the order of this phase, aligned neighbouring spins, is {}; magnetization is zero, since the bias is one half."
"""The meaning of an Ising run whose two sectors are equally likely."""
TREND = {
    "grows": "Drift grows with the factor.",
    "levels off": "Drift levels off.",
    "returns": "Drift returns: the deepest replay is nearer to the first run than one before it.",
    "goes up and down": "Drift goes up and down with the factor.",
}
NO_SECTORS = "The phase has no sectors, so nothing depends on the bias and none of the features carries a distance."
SAME = "Both biases show the same fingerprint: none of the features carries a distance."
TRI_NEXT = {
    "none": "Use ising_symmetry_breaking with a bias far from one half to see TRI.",
    "some": "It grows with the distance of the bias from one half.",
}


@rule("phase_meaning")
def phase_meaning(results: Results, feature: str) -> str:
    """What a run's numbers say of its phase."""
    name = str(results[0]["phase_type"])
    if name == "ising_symmetry_breaking" and results[0]["params"]["bias"] == 0.5:
        return EVEN.format(strength(results, MARK[name]))
    if name != "pseudorandom":
        return PHASE[name].format(strength(results, MARK[name]))
    alone = results[0]["params"]["depth"] == 1
    gates = "a single layer of random gates only begins to scramble" if alone else "the random gates scramble"
    return PHASE[name].format(gates, entanglement(results, MARK[name]), "some" if _order_left(results) else "no")


def _order_left(results: Results) -> bool:
    """Whether any order of a run is more than gone."""
    return any(strength(results, name) != "gone" for name in ORDERS)


@rule("tri_silence")
def tri_silence(results: Results, feature: str) -> str:
    """Why TRI is zero; for results in which it is."""
    return NO_SECTORS if results[0]["params"]["phase_type"] in ("spt_cluster", "trivial_product") else SAME


@rule("tri_source")
def tri_source(results: Results, feature: str) -> str:
    """The feature that carries TRI, where its two values show as equal."""
    return f"It is carried by {tri_carrier(results, feature)}, whose two values differ by less than is shown."


@rule("tri_next")
def tri_next(results: Results, feature: str) -> str:
    """What a TRI run leads to."""
    return TRI_NEXT["none" if tri_carrier(results, feature) == "none" else "some"]


@rule("drift_course")
def drift_course(results: Results, feature: str) -> str:
    """How the replays after the base drift."""
    return TREND[drift_trend(results, feature)]


@rule("drift_meaning")
def drift_meaning(results: Results, feature: str) -> str:
    """What a replay's drift says of the run."""
    level = drift_level(results, feature)
    trend = drift_trend(results, feature)
    if trend == "returns" and level == "high":
        return RETURNING
    return FLAT_DRIFT.get(level, DRIFT[level]) if trend == "levels off" else DRIFT[level]


@rule("grouping_meaning")
def grouping_meaning(results: Results, feature: str) -> str:
    """What the clusters of a discovery hold."""
    params = results[0]["params"]
    return FEWER if params["k"] < len(params["phases"]) else GROUPING[purity_level(results, feature)]


@rule("evidence")
def evidence(results: Results, feature: str) -> str:
    """Why a fingerprint is its phase's."""
    name = str(results[0]["phase_type"])
    marked = any(level(results, MARK[phase]) == "high" for phase in MARK if phase != "pseudorandom")
    return LITTLE_ORDER if name == "pseudorandom" and (marked or _order_left(results)) else EVIDENCE[name]


@rule("echo_meaning")
def echo_meaning(results: Results, feature: str) -> str:
    """How much of the state an imperfect way back recovers: most from 0.9 on, part from 0.1 on, little above 0."""
    value = float(results[0]["echo"])
    level = "most" if value >= 0.9 else "part" if value >= 0.1 else "little" if value > 0 else "none"
    return f"the imperfect way back recovers {level} of the initial state."


@rule("tri_meaning")
def tri_meaning(results: Results, feature: str) -> str:
    """How far flipping the bias moves the fingerprint, and what carries it."""
    if (carrier := tri_carrier(results, feature)) == "none":
        return tri_silence(results, feature)
    return f"flipping the bias moves the fingerprint: TRI is {tri_level(results, feature)}, carried by {carrier}."


@rule("replay_meaning")
def replay_meaning(results: Results, feature: str) -> str:
    """How drift goes with depth, and what that says of the run."""
    return f"{drift_course(results, feature)} {drift_meaning(results, feature)}"


_MEANINGS = {
    "run_phase": phase_meaning,
    "tri": tri_meaning,
    "echo": echo_meaning,
    "replay_drift": replay_meaning,
    "discovery": grouping_meaning,
}


def meaning(result: Mapping[str, Any]) -> str:
    """Return one sentence on what a result means, without a number; "" if there is no rule for it."""
    rule_of = _MEANINGS.get(str(result.get("experiment")))
    try:
        return rule_of([result], "") if rule_of else ""
    except (KeyError, ValueError):
        return ""
