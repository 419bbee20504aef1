"""Explaining one run of one phase (the guide's first generator)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.regions import PHASES, Region, draw
from pipeline.data.wordings import pick, rest_text, settings_text

SHOWN = ("entropy_final", "magnetization", "transverse", "zz_nearest", "string_order")
OTHERS = (
    "entropy_mean",
    "entropy_max",
    "entropy_slope",
    "entropy_per_site",
    "entropy_flatness",
    "zz_long",
    "correlation_range",
    "operator_spread",
)
NEXT = {
    "ising_symmetry_breaking": "a tri run shows how much the magnetization depends on the bias.",
    "spt_cluster": "a deeper run shows how long the hidden order lasts; TRI will stay at zero.",
    "trivial_product": "compare it with ising_symmetry_breaking at the same size and depth.",
    "pseudorandom": "a replay_drift run shows how fast the fingerprint moves with depth.",
}


@kind("phase")
class PhaseKind:
    """Measured, meaning, next: for one run."""

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        params = draw(rng, region, PHASES[index % len(PHASES)], biased=rng.random() < 0.4)
        others = sorted(rng.sample(OTHERS, 2), key=OTHERS.index)
        return Case([Run("run_phase", params)], {"others": others})

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        run, result = case.runs[0], results[0]
        phase = words.verdict("phase", [(run, result)])
        names = (*SHOWN, *case.choice["others"])
        numbers = ", ".join(f"{name} {words.number(run, result, f'features.{name}')}" for name in names)
        output = (
            f"Here is an analysis of the experiment:\n\n- Phase type: {phase}\n- Measured: {numbers}\n"
            f"- Meaning: {words.verdict('phase_meaning', [(run, result)])}\n- Next: {NEXT[phase]}"
        )
        settings, rest = settings_text(run.params), rest_text(run.params)
        return Draft(pick(rng, "phase", phase=phase, settings=settings, rest=rest), output)
