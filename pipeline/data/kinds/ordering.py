"""Ordering the four phases by one feature, at the same size, depth, seed and bias."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.kinds.numeric import FEATURES
from pipeline.data.regions import PHASES, Region, draw
from pipeline.data.wordings import pick, rest_text


@kind("ordering")
class OrderingKind:
    """`entropy_final at size 24, depth 3, early. Order: spt_cluster > …`: the ranking, without four guessed numbers.

    The first layers have an order of their own; said before it, early or late is what a small model picks it by.
    """

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        params = draw(rng, region, PHASES[0])
        runs = [Run("run_phase", {**params, "phase_type": phase}) for phase in PHASES]
        return Case(runs, {"feature": FEATURES[index % len(FEATURES)]})

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        feature, run = case.choice["feature"], case.runs[0]
        where = f"{feature} at size {words.param(run, 'system_size')}, depth {words.param(run, 'depth')}"
        where += f", {words.verdict('stage', [(run, results[0])])}"
        ranking = words.verdict("order", zip(case.runs, results, strict=True), feature)
        return Draft(pick(rng, "ordering", feature=feature, rest=rest_text(run.params)), f"{where}. Order: {ranking}.")
