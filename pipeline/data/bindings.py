"""What stands around a claim's place: `zz_nearest 0.33` says zz_nearest, whatever the claim is about.

A claim's own text is compared with the simulator; here the words beside it are compared with the claim, so that two
names that were swapped, a "smaller" for a "larger", or a verdict that stands behind another feature are found.
"""

from __future__ import annotations

import re

import simulator
from pipeline.data.claims import Claim, runs_of
from simulator.setting_mentions import AT, strange_setting

_SCORES = {
    "purity": "purity",
    "adjusted rand index": "adjusted_rand_index",
    "normalised mutual information": "normalized_mutual_information",
    "normalized mutual information": "normalized_mutual_information",
    "replay sensitivity index": "replay_sensitivity_index",
    "growth exponent": "growth_exponent",
    "tri": "TRI",
}
_SETTINGS = {
    "system_size": "system_size",
    "base_depth": "base_depth",
    "size": "system_size",
    "depth": "depth",
    "bias": "bias",
    "seed": "seed",
}
"""Names as outputs say them, and the last part of the quantity that each stands for."""
_FEATURES = "|".join(sorted(simulator.FEATURE_NAMES, key=len, reverse=True))
_NAMES = "|".join([_FEATURES, *_SCORES, *_SETTINGS])
_BESIDE = re.compile(
    rf"(?<![\w-])({_NAMES})(?:{AT})?[\s*`_]*(?:[:=,(]|\b(?:is|was|of|at|equals|is about|is around)\b)?[\s*`(]*$",
    re.IGNORECASE,
)
_NEAR = 80
"""Characters in front of a number in which its name stands."""
FEATURE = re.compile(rf"\b({_FEATURES})\b")
_LESS = re.compile(
    r"\b(?:smaller|smallest|lower|lowest|less|least|fewer|weaker|weakest|reduced|not|never)\b|n[’']t\b", re.IGNORECASE
)
_RISING = re.compile(r"\b(?:smallest|lowest|least|ascending|rising|increasing)\b", re.IGNORECASE)
_DENIED = re.compile(
    r"(?:\b(?:not|never|hardly|anything but|far from|by no means)|n[’']t)\s+(?:\w+\s+)?$", re.IGNORECASE
)
_SENTENCES = re.compile(r"(?<=[.!?])\s|\n")
_FACTOR = re.compile(r" at factor (\d+)")
_WAYS = {"forward_features": "forward", "reverse_features": "in reverse"}


def misplaced(output: str, claim: Claim, span: tuple[int, int]) -> str | None:
    """What the words beside a claim's place say that the claim does not; None where they agree."""
    before, after, name = output[: span[0]], output[span[1] :], str(claim["quantity"])
    if name.startswith("verdict."):
        return _verdict(before, claim, name)
    beside = _BESIDE.search(before[-_NEAR:])
    if beside and name != "tool" and not name.startswith("glossary."):
        said = beside[1].lower()
        if name.rpartition(".")[2] != _SCORES.get(said, _SETTINGS.get(said, said)):
            return f"it stands behind {beside[1]!r}"
        if name.startswith("features.") and (other := _other_place(beside.group(), claim)):
            return f"it stands behind {other!r}"
    return _way(after, name) or _factor(after, claim, name)


def _other_place(beside: str, claim: Claim) -> str | None:
    """`0.14` behind `at size 32, depth 4:` is of a run with that size and depth."""
    runs = runs_of(claim)
    return strange_setting(beside, runs[0].params) if len(runs) == 1 else None


def _verdict(before: str, claim: Claim, name: str) -> str | None:
    """The feature of a verdict is the last one named before it, nothing denies it, and the leader has more of it."""
    feature = str(claim.get("feature", ""))
    named = FEATURE.findall(before)
    if feature and named and named[-1] != feature:
        return f"it stands behind {named[-1]!r}"
    turned = {"verdict.leader": _LESS, "verdict.order": _RISING}.get(name)
    found = _DENIED.search(before) or (turned and turned.search(_SENTENCES.split(before)[-1]))
    return f"it stands behind {found.group().strip()!r}" if found else None


def _way(after: str, name: str) -> str | None:
    """`0.49 forward` is of the forward run."""
    for part, words in _WAYS.items():
        if after.startswith(f" {words}") and not name.startswith(part) and name.partition(".")[0] in _WAYS:
            return f"it stands before {words!r}"
    return None


def _factor(after: str, claim: Claim, name: str) -> str | None:
    """`0.52 at factor 4` is of the replay with that factor."""
    found = _FACTOR.match(after)
    place = re.fullmatch(r"runs\.(\d{1,6})\.drift", name)
    runs = runs_of(claim)
    if not found or not place or not runs:
        return None
    factors = runs[0].params.get("depth_factors")
    if not isinstance(factors, list):
        return None
    own = factors[int(place[1])] if int(place[1]) < len(factors) else None
    return None if str(own) == found[1] else f"it stands before {found.group().strip()!r}"
