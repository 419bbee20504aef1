"""Predicting a run's numbers from its settings alone."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.regions import PHASES, Region, draw
from pipeline.data.wordings import pick, settings_text

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


GROUPS = {
    "the fingerprint": FEATURES,
    "the set of entropies": FEATURES[:6],
    "the set of correlations": ("zz_nearest", "zz_long", "correlation_range", "string_order"),
    "the set of local features": ("magnetization", "transverse", "operator_spread"),
}
"""Features that can be asked for by one name."""
SINGLE = "one feature"
SHARES = {
    SINGLE: 8,
    "the set of entropies": 4,
    "the set of correlations": 3,
    "the set of local features": 3,
    "the fingerprint": 2,
}
"""How often each is asked for, of twenty. Groups teach the most numbers a token, single features that a number follows
from the run's place alone."""
TURNS = (*PHASES, "ising_symmetry_breaking", "spt_cluster")
"""The phases in turn: the two whose numbers change the most with depth and size come twice."""
VARIED = {
    "ising_symmetry_breaking": {
        "entropy_per_site",
        "entropy_flatness",
        "transverse",
        "zz_nearest",
        "zz_long",
        "correlation_range",
        "operator_spread",
    },
    "spt_cluster": {
        "entropy_per_site",
        "entropy_flatness",
        "transverse",
        "correlation_range",
        "string_order",
        "operator_spread",
    },
    "trivial_product": {"entropy_slope", "entropy_flatness", "zz_nearest", "operator_spread"},
    "pseudorandom": {"entropy_per_site"},
}
"""The features that depth or size decide: the phase's usual value is a wrong answer for more than a quarter of its runs
(`python bench/predictable.py`)."""
VARIED_WEIGHT = 3
"""How many times as often as another feature each of them is asked for alone."""


def single(rng: Random, phase: str) -> str:
    """One feature to ask for: rather one that cannot be told from the phase alone."""
    return rng.choices(FEATURES, [VARIED_WEIGHT if name in VARIED[phase] else 1 for name in FEATURES])[0]


def place(words: Words, run: Run) -> str:
    """What the numbers that follow depend on: repeated before them, it is where a small model looks them up.

    The bias is told of the one phase whose start it changes.
    """
    phase = run.params["phase_type"]
    text = f"{phase}, size {words.param(run, 'system_size')}, depth {words.param(run, 'depth')}"
    return f"{text}, bias {words.param(run, 'bias')}" if phase == PHASES[0] else text


@kind("numeric")
class NumericKind:
    """One feature, a group of them or the whole fingerprint: the run's place, then `name value`, each.

    What the seed decides is said to depend on it: a number would be a guess.

    The features of a group come in any order, so that none is learned from its neighbours alone.
    """

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        phase = TURNS[index % len(TURNS)]
        asked = rng.choices(list(SHARES), list(SHARES.values()))[0]
        chosen = [single(rng, phase)] if asked == SINGLE else list(GROUPS[asked])
        if len(chosen) < len(FEATURES):
            rng.shuffle(chosen)
        likely = 1.0 if chosen == ["magnetization"] else 0.3
        params = draw(rng, region, phase, biased=rng.random() < likely)
        return Case([Run("run_phase", params)], {"asked": chosen[0] if asked == SINGLE else asked, "features": chosen})

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        run, result, choice = case.runs[0], results[0], case.choice
        where = place(words, run)
        numbers = ", ".join(f"{name} {words.foretold(run, result, name)}" for name in choice["features"])
        settings = settings_text(run.params)
        return Draft(pick(rng, "numeric", features=choice["asked"], settings=settings), f"{where}: {numbers}.")
