"""Ordering the four phases by one feature, at the same size, depth, seed and bias."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.kinds.numeric import FEATURES
from pipeline.data.regions import PHASES, Region, draw
from pipeline.data.wordings import pick, rest_text

EARLY = ("entropy_mean", "entropy_max", "entropy_final", "entropy_per_site", "operator_spread")
"""Features in which pseudorandom ends up above all other phases, and is not there yet in the first layers: a model that
knows the feature alone ranks those wrongly (`python bench/predictable.py`). They come twice."""
FIRST_DEPTHS = (1, 2, 3)
FIRST_SHARE = 0.5
"""How often one of them is asked for in the first layers."""
TURNS = (*FEATURES, *EARLY)


def early(rng: Random, region: Region, feature: str, share: float) -> dict[str, int]:
    """A depth among the first ones, for a share of the questions about a feature of `EARLY`; else nothing."""
    if feature in EARLY and not region.far and rng.random() < share:
        return {"depth": rng.choice(FIRST_DEPTHS)}
    return {}


@kind("ordering")
class OrderingKind:
    """`entropy_final at size 24, depth 3. Order: pseudorandom > …`: the ranking alone, without four guessed numbers."""

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        feature = TURNS[index % len(TURNS)]
        params = draw(rng, region, PHASES[0]) | early(rng, region, feature, FIRST_SHARE)
        runs = [Run("run_phase", {**params, "phase_type": phase}) for phase in PHASES]
        return Case(runs, {"feature": feature})

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        feature, run = case.choice["feature"], case.runs[0]
        where = f"{feature} at size {words.param(run, 'system_size')}, depth {words.param(run, 'depth')}"
        ranking = words.verdict("order", zip(case.runs, results, strict=True), feature)
        return Draft(pick(rng, "ordering", feature=feature, rest=rest_text(run.params)), f"{where}. Order: {ranking}.")
