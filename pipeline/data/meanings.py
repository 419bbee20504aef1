"""Rules whose verdict is a whole sentence: what a result means, in the lab's words.

They are verdicts like those of rules.py, so that a sentence that was changed is found by `data check`.
"""

from __future__ import annotations

from pipeline.data.rules import Results, drift_level, drift_trend, purity_level, rule

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
GROUPING = {
    "perfect": "No cluster mixes phases.",
    "good": "Nearly every cluster holds one phase.",
    "mixed": "Some phases share a cluster.",
}
FEWER = "With fewer clusters than phases some phases have to share one."
EVIDENCE = {
    "ising_symmetry_breaking": "since neighbouring spins align",
    "spt_cluster": "since the order is hidden in the string",
    "trivial_product": "since the spins follow the field",
    "pseudorandom": "since no order is left",
}


@rule("drift_meaning")
def drift_meaning(results: Results, feature: str) -> str:
    """What a replay's drift says of the run."""
    level = drift_level(results, feature)
    flat = drift_trend(results, feature) == "levels off"
    return FLAT_DRIFT.get(level, DRIFT[level]) if flat else DRIFT[level]


@rule("grouping_meaning")
def grouping_meaning(results: Results, feature: str) -> str:
    """What the clusters of a discovery hold."""
    params = results[0]["params"]
    return FEWER if params["k"] < len(params["phases"]) else GROUPING[purity_level(results, feature)]


@rule("evidence")
def evidence(results: Results, feature: str) -> str:
    """Why a fingerprint is its phase's."""
    return EVIDENCE[str(results[0]["phase_type"])]
