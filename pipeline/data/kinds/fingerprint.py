"""Reading a fingerprint: which phase made these thirteen numbers? No name, seed or id is in the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.regions import PHASES, Region, draw
from pipeline.data.wordings import fingerprint_text, pick

EVIDENCE = {
    "ising_symmetry_breaking": ("zz_nearest", "string_order"),
    "spt_cluster": ("string_order", "zz_nearest"),
    "trivial_product": ("transverse", "zz_nearest"),
    "pseudorandom": ("entropy_final", "transverse"),
}
"""The two features that give each phase away, the stronger one first."""
REASON = {
    "ising_symmetry_breaking": "neighbouring spins align",
    "spt_cluster": "the order is hidden in the string",
    "trivial_product": "the spins follow the field",
    "pseudorandom": "the gates scramble",
}


def reading(words: Words, run: Run, result: Result) -> str:
    """The phase first, then what gives it away."""
    phase = words.verdict("phase", [(run, result)])
    numbers = " and ".join(f"{name} {words.number(run, result, f'features.{name}')}" for name in EVIDENCE[phase])
    return f"{phase}: {REASON[phase]}, as {numbers} show."


@kind("fingerprint")
class FingerprintKind:
    """The prompt's input is the fingerprint; phases take turns."""

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        params = draw(rng, region, PHASES[index % len(PHASES)], biased=rng.random() < 0.5)
        return Case([Run("run_phase", params)])

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        run, result = case.runs[0], results[0]
        shown = fingerprint_text(result["features"])
        return Draft(pick(rng, "fingerprint"), reading(words, run, result), shown)
