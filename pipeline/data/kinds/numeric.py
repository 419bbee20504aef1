"""Predicting a run's numbers from its settings alone."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.regions import PHASES, Region, draw
from pipeline.data.wordings import listing, pick, settings_text

FEATURES = (
    "entropy_mean",
    "entropy_max",
    "entropy_final",
    "entropy_slope",
    "entropy_per_site",
    "entropy_flatness",
    "magnetization",
    "transverse",
    "zz_nearest",
    "zz_long",
    "correlation_range",
    "string_order",
    "operator_spread",
)
"""The thirteen features in the lab's order."""


def place(words: Words, run: Run) -> str:
    """What the numbers that follow depend on: repeated before them, it is where a small model looks them up.

    The bias is told of the one phase whose start it changes.
    """
    phase = run.params["phase_type"]
    text = f"{phase}, size {words.param(run, 'system_size')}, depth {words.param(run, 'depth')}"
    return f"{text}, bias {words.param(run, 'bias')}" if phase == PHASES[0] else text


@kind("numeric")
class NumericKind:
    """One feature, three of them, or the whole fingerprint: the run's place, then `name value` in the lab's order."""

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        params = draw(rng, region, PHASES[index % len(PHASES)], biased=rng.random() < 0.3)
        count = rng.choice((1, 1, 3, len(FEATURES)))
        chosen = sorted(rng.sample(FEATURES, count), key=FEATURES.index)
        return Case([Run("run_phase", params)], {"features": chosen})

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        run, result, chosen = case.runs[0], results[0], case.choice["features"]
        asked = "the fingerprint" if len(chosen) == len(FEATURES) else listing(chosen)
        where = place(words, run)
        numbers = ", ".join(f"{name} {words.number(run, result, f'features.{name}')}" for name in chosen)
        return Draft(pick(rng, "numeric", features=asked, settings=settings_text(run.params)), f"{where}: {numbers}.")
