"""Comparing one feature of two runs: what sets them apart, which of it has more, and so which run."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.kinds.numeric import FEATURES
from pipeline.data.regions import BIASES, DEPTHS, PHASES, SIZES, Region, draw
from pipeline.data.wordings import pick, settings_text
from simulator.number_text import foretold
from simulator.verdicts import deciding

CLOSE_KEPT = 0.2
"""The share of pairs within one step of the feature that stays: many features are zero in many phases, and what is this
close hangs on the seed."""


def pair(rng: Random, region: Region) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two runs: other phases, or one setting of one phase changed."""
    first = draw(rng, region, biased=rng.random() < 0.3)
    second = dict(first)
    changed = rng.choice(("phase_type", "phase_type", "depth", "system_size", "bias"))
    choices = {"phase_type": PHASES, "depth": DEPTHS, "system_size": SIZES, "bias": BIASES}[changed]
    second[changed] = rng.choice([choice for choice in choices if choice != first[changed]])
    if changed == "phase_type" and rng.random() < 0.5:
        second["depth"] = rng.choice(DEPTHS)
    return first, second


def fitting_feature(rng: Random, first: dict[str, Any], second: dict[str, Any]) -> str:
    """A feature to compare; magnetization where the bias is all that differs."""
    return "magnetization" if first["bias"] != second["bias"] else rng.choice(FEATURES)


@kind("comparison")
class ComparisonKind:
    """`A: spt_cluster, depth 8. B: spt_cluster, depth 4. From depth 4 to 8 zz_long falls: it is larger with depth 4. …`

    The two numbers are not told: a small model misses a quarter of them, and which setting wins it knows far better.
    Where a phase is compared with itself, how the feature goes with the setting comes first: that is what it knows.
    """

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        first, second = pair(rng, region)
        feature = fitting_feature(rng, first, second)
        return Case([Run("run_phase", first), Run("run_phase", second)], {"feature": feature})

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft | None:
        feature = case.choice["feature"]
        steps = {foretold(feature, result["features"][feature]) for result in results}
        if len(steps) == 1 and rng.random() > CLOSE_KEPT:
            return None
        runs = "\n".join(f"{label}: {settings_text(run.params)}" for label, run in zip("AB", case.runs, strict=True))
        changed = deciding(*(run.params for run in case.runs))
        pairs = list(zip(case.runs, results, strict=True))
        sides = " ".join(f"{label}: {_side(words, *one, changed)}." for label, one in zip("AB", pairs, strict=True))
        told = feature if changed == "phase_type" else f"{words.verdict('trend', pairs, feature)}: it"
        told += f" is larger with {words.verdict('leader', pairs, feature)}"
        winner = words.verdict("higher", pairs, feature)
        return Draft(pick(rng, "comparison", feature=feature, runs=runs), f"{sides} {told}. {winner}.")


def _side(words: Words, run: Run, result: Result, changed: str) -> str:
    """A run by what sets it apart from the other: its phase with its depth, or its setting."""
    text = f"{words.param(run, 'phase_type')}, "
    if changed != "phase_type":
        return f"{text}{changed} {words.param(run, changed)}"
    return f"{text}depth {words.param(run, 'depth')}, {words.verdict('stage', [(run, result)])}"
