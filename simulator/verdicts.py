"""Rules that turn results into verdicts, each one small function that anyone can re-run.

A rule takes the results of its runs and a feature's name (or "") and returns the verdict's words; it raises ValueError
for runs that it cannot judge. Values are compared as they are shown, at two decimals, so that a verdict never
contradicts the numbers beside it; an order of the phases compares them in the feature's steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from simulator.number_text import foretold, measured, setting

Results = list[Mapping[str, Any]]
Rule = Callable[[Results, str], str]
RULES: dict[str, Rule] = {}


def rule(name: str) -> Callable[[Rule], Rule]:
    """Registers a rule under `name`, once."""

    def register(function: Rule) -> Rule:
        if name in RULES:
            raise ValueError(f"a rule named {name!r} is there already")
        RULES[name] = function
        return function

    return register


def shown(result: Mapping[str, Any], feature: str) -> float:
    """The value of a feature as an output shows it."""
    return float(measured(result["features"][feature]))


@rule("phase")
def phase(results: Results, feature: str) -> str:
    """The phase type of the one run."""
    return str(results[0]["phase_type"])


@rule("higher")
def higher(results: Results, feature: str) -> str:
    """How two runs, A and B, stand in a feature: "A > B: A is larger"."""
    first, second = (shown(result, feature) for result in results)
    if first == second:
        return "A = B: they are equal"
    return "A > B: A is larger" if first > second else "B > A: B is larger"


DECIDING = ("phase_type", "depth", "system_size", "bias")
"""The settings by which two compared runs can differ; the first one that does is what sets them apart."""
NEITHER = "neither of them"


@rule("leader")
def leader(results: Results, feature: str) -> str:
    """Of two runs, the setting of the one with more of the feature: "spt_cluster", "depth 4"."""
    first, second = (shown(result, feature) for result in results)
    if first == second:
        return NEITHER
    changed = deciding(*(result["params"] for result in results))
    winner = results[first < second]["params"]
    return str(winner[changed]) if changed == "phase_type" else f"{changed} {setting(winner[changed])}"


@rule("trend")
def trend(results: Results, feature: str) -> str:
    """How a feature goes with the one setting by which two runs differ: "From depth 4 to 16 zz_long falls"."""
    one, other = (result["params"] for result in results)
    changed = deciding(one, other)
    if changed == "phase_type" or any(one[name] != other[name] for name in one if name != changed):
        raise ValueError("the two runs do not differ in the depth, the size or the bias alone")
    few, many = sorted(results, key=lambda result: result["params"][changed])
    low, high = shown(few, feature), shown(many, feature)
    went = "rises" if high > low else "falls" if high < low else "stays"
    steps = " to ".join(setting(run["params"][changed]) for run in (few, many))
    return f"From {changed} {steps} {feature} {went}"


def deciding(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The setting that sets two runs' parameters apart, the phase before the others. Raises ValueError without one."""
    changed = next((name for name in DECIDING if one[name] != other[name]), None)
    if changed is None:
        raise ValueError("the two runs do not differ in phase, depth, size or bias")
    return changed


OF_THE_SEED = frozenset(("entropy_mean", "entropy_max", "entropy_final", "entropy_slope", "operator_spread"))
"""Features of pseudorandom runs that the drawn gates decide: about half of the runs with the same settings lie further
from the middle one than a right answer may."""
BY_SEED = "depends on the seed"


def is_of_the_seed(params: Mapping[str, Any], feature: str) -> bool:
    """Whether a run's settings without the seed leave the feature open.

    Where half of the chain is an even number of sites, the one layer of depth 1 has no gate across the middle cut: its
    entropy is the one bit of the two sectors, always.
    """
    cut = feature != "operator_spread" and params["depth"] == 1 and params["system_size"] // 2 % 2 == 0
    return params["phase_type"] == "pseudorandom" and feature in OF_THE_SEED and not cut


@rule("seed")
def seed(results: Results, feature: str) -> str:
    """Whether a feature of a run can be foretold from its settings without the seed."""
    return BY_SEED if is_of_the_seed(results[0]["params"], feature) else "follows from the settings"


@rule("order")
def order(results: Results, feature: str) -> str:
    """The runs' phase types from the largest feature to the smallest, compared in the feature's steps.

    Between two of one step stands "≳", larger or about equal, and the one that is larger more often comes first
    (`USUALLY`).
    """
    values = {str(result["phase_type"]): float(foretold(feature, result["features"][feature])) for result in results}
    if len(values) < len(results):
        raise ValueError("a phase is among the runs twice")
    ranked = sorted(values, key=lambda phase: (-values[phase], USUALLY.index(phase)))
    words = [ranked[0]]
    for before, after in pairwise(ranked):
        words += [" ≳ " if values[before] == values[after] else " > ", after]
    return "".join(words)


USUALLY = ("spt_cluster", "pseudorandom", "ising_symmetry_breaking", "trivial_product")
"""The phases by entropy in the first layers, where ties are many: one order for them is one to learn."""


EARLY_UNTIL = 3
"""The last of the first layers: in them a random circuit has rarely entangled the middle cut more than the cluster."""


@rule("stage")
def stage(results: Results, feature: str) -> str:
    """early in the first three layers, late from the fourth on."""
    return "early" if int(results[0]["params"]["depth"]) <= EARLY_UNTIL else "late"


@rule("strength")
def strength(results: Results, feature: str) -> str:
    """strong from 0.5 on, weak from 0.2 on, gone below; of the absolute value."""
    value = abs(shown(results[0], feature))
    return "strong" if value >= 0.5 else "weak" if value >= 0.2 else "gone"


HIGH_FROM = {"transverse": 0.8, "zz_nearest": 0.5, "string_order": 0.06}
"""Above which value a feature marks its phase: between what that phase shows and what the others do."""


@rule("level")
def level(results: Results, feature: str) -> str:
    """high from the feature's own mark on, low below."""
    return "high" if shown(results[0], feature) >= HIGH_FROM[feature] else "low"


@rule("entanglement")
def entanglement(results: Results, feature: str) -> str:
    """low below one bit at the middle cut, moderate below three, high from there on."""
    value = shown(results[0], feature or "entropy_final")
    return "low" if value < 1 else "moderate" if value < 3 else "high"


@rule("tri_level")
def tri_level(results: Results, feature: str) -> str:
    """zero below 0.005, low below 0.5, moderate below 2, high from there on (units of feature scales)."""
    value = float(measured(results[0]["TRI"]))
    return "zero" if value == 0 else "low" if value < 0.5 else "moderate" if value < 2 else "high"


@rule("tri_carrier")
def tri_carrier(results: Results, feature: str) -> str:
    """The feature with the largest share of TRI; "none" where TRI shows as zero."""
    if float(measured(results[0]["TRI"])) == 0:
        return "none"
    shares = results[0]["contributions"]
    return str(max(shares, key=lambda name: abs(shares[name])))


@rule("drift_level")
def drift_level(results: Results, feature: str) -> str:
    """low where the largest drift is below 1, moderate below 3, high from there on (units of feature scales)."""
    value = max(float(measured(run["drift"])) for run in results[0]["runs"])
    return "low" if value < 1 else "moderate" if value < 3 else "high"


@rule("drift_trend")
def drift_trend(results: Results, feature: str) -> str:
    """How the replays after the base drift: returns where the last is below 0.9 of the largest, levels off where all
    are above that; else grows where none is below the one before it, or goes up and down."""
    drifts = [float(measured(run["drift"])) for run in results[0]["runs"][1:]]
    if not drifts:
        return "grows"
    if drifts[-1] < 0.9 * max(drifts):
        return "returns"
    if min(drifts) >= 0.9 * max(drifts):
        return "levels off"
    return "grows" if drifts == sorted(drifts) else "goes up and down"


@rule("purity_level")
def purity_level(results: Results, feature: str) -> str:
    """perfect at 1.00 with an adjusted Rand index of 1.00, pure without it, good from 0.90 on, mixed below."""
    value, index = (float(measured(results[0][name])) for name in ("purity", "adjusted_rand_index"))
    return "perfect" if value >= 1 and index >= 1 else "pure" if value >= 1 else "good" if value >= 0.9 else "mixed"
