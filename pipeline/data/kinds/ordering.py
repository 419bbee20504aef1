"""Ordering the four phases by one feature, at the same size, depth, seed and bias."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.kinds.numeric import FEATURES, place
from pipeline.data.regions import PHASES, Region, draw
from pipeline.data.wordings import pick, rest_text


@kind("ordering")
class OrderingKind:
    """Each phase's number as the `numeric` kind gives it, so that it is learned once for both, then the ranking."""

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        params = draw(rng, region, PHASES[0])
        runs = [Run("run_phase", {**params, "phase_type": phase}) for phase in PHASES]
        return Case(runs, {"feature": FEATURES[index % len(FEATURES)]})

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        feature = case.choice["feature"]
        numbers = "\n".join(
            f"{place(words, run)}: {feature} {words.number(run, result, f'features.{feature}')}."
            for run, result in zip(case.runs, results, strict=True)
        )
        ranking = words.verdict("order", zip(case.runs, results, strict=True), feature)
        rest = rest_text(case.runs[0].params)
        return Draft(pick(rng, "ordering", feature=feature, rest=rest), f"{numbers}\nOrder: {ranking}")
