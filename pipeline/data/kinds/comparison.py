"""Comparing one feature of two runs: what sets them apart, which of it has more, and so which run."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.kinds.numeric import FEATURES
from pipeline.data.regions import BIASES, DEPTHS, PHASES, SIZES, Region, draw
from pipeline.data.rules import DECIDING, NEITHER
from pipeline.data.wordings import pick, settings_text

EQUAL_KEPT = 0.2
"""The share of ties that stays: many features are zero in many phases, and a tie has nothing to compare."""


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
    """`A: spt_cluster, depth 8. B: pseudorandom, depth 8. zz_long is larger with … A > B: A is larger.`

    The two numbers are not told: a small model misses a quarter of them, and which setting wins it knows far better.
    """

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        first, second = pair(rng, region)
        feature = fitting_feature(rng, first, second)
        return Case([Run("run_phase", first), Run("run_phase", second)], {"feature": feature})

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft | None:
        feature = case.choice["feature"]
        runs = "\n".join(f"{label}: {settings_text(run.params)}" for label, run in zip("AB", case.runs, strict=True))
        changed = next(name for name in DECIDING if case.runs[0].params[name] != case.runs[1].params[name])
        shown = "depth" if changed == "phase_type" else changed
        sides = " ".join(
            f"{label}: {words.param(run, 'phase_type')}, {shown} {words.param(run, shown)}."
            for label, run in zip("AB", case.runs, strict=True)
        )
        pairs = list(zip(case.runs, results, strict=True))
        leader = words.verdict("leader", pairs, feature)
        winner = words.verdict("higher", pairs, feature)
        if leader == NEITHER and rng.random() > EQUAL_KEPT:
            return None
        told = f"{feature} is larger with {leader}"
        return Draft(pick(rng, "comparison", feature=feature, runs=runs), f"{sides} {told}. {winner}.")
