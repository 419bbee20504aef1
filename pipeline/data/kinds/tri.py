"""Explaining a TRI test: the run at the bias against the run at the flipped bias."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.regions import PHASES, Region, draw
from pipeline.data.wordings import pick, rest_text, settings_text
from simulator.number_text import measured
from simulator.verdicts import tri_carrier


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
        if tri_carrier([result], "") == "none":
            because = words.verdict("tri_silence", pair)
        elif _same(result, tri_carrier([result], "")):
            because = words.verdict("tri_source", pair)
        else:
            carrier = words.verdict("tri_carrier", pair)
            forward = words.number(run, result, f"forward_features.{carrier}")
            reverse = words.number(run, result, f"reverse_features.{carrier}")
            because = f"It is carried by {carrier}: {forward} as given, {reverse} with the bias flipped."
        output = f"TRI is {value}, which is {level}. {because} {words.verdict('tri_next', pair)}"
        settings, rest = settings_text(params), rest_text(params)
        return Draft(pick(rng, "tri", phase=str(params["phase_type"]), settings=settings, rest=rest), output)


def _same(result: Result, feature: str) -> bool:
    """Return whether both runs show the same value of the feature."""
    values = (measured(result[f"{way}_features"][feature]) for way in ("forward", "reverse"))
    return len(set(values)) == 1
