"""Predicting a run's numbers from its settings alone."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.regions import BIASES, DEPTHS, PHASES, SIZES, Region, draw
from pipeline.data.wordings import listing, pick, settings_text, value_text
from simulator.verdicts import is_of_the_seed

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
ONE, SEVERAL, SWEEP = "one feature", "several features", "one feature at several settings"
SHARES = {ONE: 6, SWEEP: 6, SEVERAL: 4, **dict.fromkeys(GROUPS, 1)}
"""How often each is asked for, of twenty. A sweep is what teaches which number belongs to which size: phase and feature
being the same, nothing but the setting tells its numbers apart."""
MOST = 4
"""Features of a prediction of several, and places of a sweep."""
TURNS = (*PHASES, "ising_symmetry_breaking", "spt_cluster", "trivial_product")
"""The phases in turn: pseudorandom, most of whose numbers the seed decides, comes half as often as each other."""
SIZE, DEPTH, BOTH, BIAS = ("system_size",), ("depth",), ("system_size", "depth"), ("bias",)
VARIED: dict[str, dict[str, tuple[str, ...]]] = {
    "ising_symmetry_breaking": {
        "entropy_per_site": SIZE,
        "entropy_flatness": DEPTH,
        "magnetization": BIAS,
        "transverse": DEPTH,
        "zz_nearest": DEPTH,
        "zz_long": DEPTH,
        "correlation_range": SIZE,
        "operator_spread": BOTH,
    },
    "spt_cluster": {
        "entropy_per_site": SIZE,
        "entropy_flatness": DEPTH,
        "transverse": DEPTH,
        "correlation_range": BOTH,
        "string_order": DEPTH,
        "operator_spread": BOTH,
    },
    "trivial_product": {
        "entropy_slope": DEPTH,
        "entropy_flatness": DEPTH,
        "zz_nearest": DEPTH,
        "operator_spread": BOTH,
    },
    "pseudorandom": {"entropy_per_site": BOTH},
}
"""The features that the phase alone does not decide, and the settings that do: the phase's usual value is a wrong
answer for more than a quarter of its runs (`python bench/predictable.py`)."""
NAMED = {"pseudorandom": dict.fromkeys(("entropy_mean", "entropy_max", "entropy_final", "entropy_slope"), DEPTH)}
"""Features beyond these whose settings are told: at depth 1 they are a number, deeper the seed decides."""
GRID: dict[str, tuple[Any, ...]] = {"system_size": SIZES, "depth": DEPTHS, "bias": BIASES}
LONG = SIZES[3:]
"""Pseudorandom chains of which the settings say more than the seed."""
SHORT = {"system_size": "size"}
"""A setting's name in answers, where it is another than the simulator's."""
BIASED = 0.3
"""The share of runs with a bias of their own; all, where magnetization is asked for."""
VARIED_WEIGHT = 3
"""How many times as often as another feature each of them is asked for alone."""


def single(rng: Random, phase: str) -> str:
    """One feature to ask for: rather one that cannot be told from the phase alone."""
    return rng.choices(FEATURES, [VARIED_WEIGHT if name in VARIED[phase] else 1 for name in FEATURES])[0]


def several(rng: Random, phase: str, most: int) -> list[str]:
    """One feature, or two to `most` of them, none twice."""
    wanted, chosen = rng.randint(2, most) if most > 1 else 1, dict[str, None]()
    while len(chosen) < wanted:
        chosen[single(rng, phase)] = None
    return list(chosen)


def sweep(rng: Random, region: Region, phase: str) -> Case:
    """A feature that the phase does not decide, at several values of a setting that does, in any order.

    Of short pseudorandom chains the seed decides more than the settings.
    """
    feature = rng.choice(list(VARIED[phase]))
    setting = rng.choice(VARIED[phase][feature])
    params = draw(rng, region, phase, biased=rng.random() < BIASED)
    grid = dict(GRID, system_size=LONG) if phase == "pseudorandom" else GRID
    params["system_size"] = rng.choice(grid["system_size"])
    runs = [Run("run_phase", {**params, setting: value}) for value in rng.sample(grid[setting], MOST)]
    return Case(runs, {"asked": feature, "features": [feature], "setting": setting})


def told(words: Words, run: Run, result: Result, feature: str) -> str:
    """`operator_spread at size 32, depth 4: 0.14`, or `zz_long 0.00` where the phase alone decides.

    The settings that decide a number stand right before it: a small model looks it up by the few words that precede it,
    and with the settings at the head of the answer it told the phase's usual value for every size and depth.
    """
    phase = run.params["phase_type"]
    deciding = {**VARIED[phase], **NAMED.get(phase, {})}.get(feature, ())
    place = ", ".join(f"{SHORT.get(name, name)} {words.param(run, name)}" for name in deciding)
    colon = "" if is_of_the_seed(result["params"], feature) else ":"
    return f"{feature}{place and f' at {place}{colon}'} {words.foretold(run, result, feature)}"


@kind("numeric")
class NumericKind:
    """One feature, some of them, a group, the whole fingerprint, or one feature at several settings.

    What the seed decides is said to depend on it: a number would be a guess. Features come in any order, so that none
    is learned from its neighbours alone.
    """

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        phase = TURNS[index % len(TURNS)]
        asked = rng.choices(list(SHARES), list(SHARES.values()))[0]
        if asked == SWEEP and not region.far:
            return sweep(rng, region, phase)
        chosen = list(GROUPS.get(asked, ())) or several(rng, phase, MOST if asked == SEVERAL else 1)
        if len(chosen) < len(FEATURES):
            rng.shuffle(chosen)
        params = draw(rng, region, phase, biased="magnetization" in chosen or rng.random() < BIASED)
        words = asked if asked in GROUPS else listing(chosen)
        return Case([Run("run_phase", params)], {"asked": words, "features": chosen})

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        params, choice = dict(case.runs[0].params), case.choice
        if setting := choice.get("setting"):
            params[setting] = listing([value_text(run.params[setting]) for run in case.runs])
        phase = words.param(case.runs[0], "phase_type")
        pairs = zip(case.runs, results, strict=True)
        numbers = "; ".join(told(words, *pair, name) for pair in pairs for name in choice["features"])
        asked = pick(rng, "numeric", features=choice["asked"], settings=settings_text(params))
        return Draft(asked, f"{phase}: {numbers}.")
