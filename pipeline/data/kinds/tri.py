"""Explaining a time-reversal instability test."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.regions import PHASES, Region, draw
from pipeline.data.wordings import pick, rest_text, settings_text

NO_SECTORS = "The phase has no sectors, so nothing depends on the bias and none of the features carries a distance."
SAME = "Both directions show the same fingerprint: none of the features carries a distance."


@kind("tri")
class TriKind:
    """TRI, its level, and the feature that carries it; Ising takes half of the samples."""

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        phase = PHASES[0] if index % 2 == 0 else PHASES[1 + index // 2 % 3]
        return Case([Run("tri", draw(rng, region, phase, biased=True))])

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        run, result = case.runs[0], results[0]
        pair = [(run, result)]
        params = run.params
        value, level = words.number(run, result, "TRI"), words.verdict("tri_level", pair)
        carrier = words.verdict("tri_carrier", pair)
        if carrier == "none":
            because = NO_SECTORS if params["phase_type"] in PHASES[1:3] else SAME
            follows = "Use ising_symmetry_breaking with a bias far from one half to see TRI."
        else:
            forward = words.number(run, result, f"forward_features.{carrier}")
            reverse = words.number(run, result, f"reverse_features.{carrier}")
            because = f"It is carried by {carrier}: {forward} forward, {reverse} in reverse."
            follows = "It grows with the distance of the bias from one half."
        output = f"TRI is {value}, which is {level}. {because} {follows}"
        settings, rest = settings_text(params), rest_text(params)
        return Draft(pick(rng, "tri", phase=str(params["phase_type"]), settings=settings, rest=rest), output)
