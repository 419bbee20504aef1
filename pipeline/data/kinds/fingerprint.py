"""Reading a fingerprint: which phase made these thirteen numbers? No name, seed or id is in the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.regions import PHASES, Region, draw
from pipeline.data.wordings import fingerprint_text, pick

EVIDENCE = ("transverse", "zz_nearest", "string_order")
"""The features that tell the phases apart, each the mark of one phase; pseudorandom has none of them."""

SHALLOW, SHALLOW_SHARE = (1, 2, 3), 0.4
"""The depths at which a pseudorandom run is hardest to read, its correlations being small numbers of either sign, and
the share of its fingerprints that are drawn from these alone."""


def reading(words: Words, run: Run, result: Result) -> str:
    """A decision list: each feature copied and judged, in one order, until one is high and names the phase.

    So that every word follows from the few before it, which is what a small model can do; where it had to weigh
    all thirteen numbers at once, or three verdicts, it learned to copy them and guessed the phase.
    """
    judged = []
    for name in EVIDENCE:
        number = words.number(run, result, f"features.{name}")
        level = words.verdict("level", [(run, result)], name)
        judged.append(f"{name} {number} {level}")
        if level == "high":
            break
    phase = words.verdict("phase", [(run, result)])
    return f"{', '.join(judged)}: {phase}, {words.verdict('evidence', [(run, result)])}."


@kind("fingerprint")
class FingerprintKind:
    """The prompt's input is the fingerprint; phases take turns."""

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        params = draw(rng, region, PHASES[index % len(PHASES)], biased=rng.random() < 0.5)
        if not region.far and params["phase_type"] == "pseudorandom" and rng.random() < SHALLOW_SHARE:
            params["depth"] = rng.choice(SHALLOW)
        return Case([Run("run_phase", params)])

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        run, result = case.runs[0], results[0]
        shown = fingerprint_text(result["features"])
        return Draft(pick(rng, "fingerprint"), reading(words, run, result), shown)
