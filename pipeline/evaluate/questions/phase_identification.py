"""Which phase has this fingerprint? The prompt names no phase, seed or id."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from pipeline.data.claims import Run
from pipeline.data.regions import PHASES, Region, draw
from pipeline.evaluate.question import Question, question_kind
from pipeline.evaluate.sealed import EvaluationSet
from pipeline.evaluate.settings_text import fingerprint_text


@question_kind("phase_identification")
class PhaseIdentification:
    """Phases take turns, so that each is asked equally often."""

    name: str
    regions = True
    forms = 1

    def plan(self, chosen: EvaluationSet, rng: Random, region: Region, index: int) -> Question:
        params = draw(rng, region, PHASES[index % len(PHASES)], biased=rng.random() < 0.5)
        wording = rng.choice(chosen.table("wordings.toml")[self.name])
        runs = [Run("run_phase", params)]
        return Question(self.name, region.name, wording, runs, lead="\nPhase type:", options=PHASES, max_tokens=48)

    def finish(self, question: Question) -> Question:
        shown = fingerprint_text(question.results[0]["features"])
        facts = {"phase": question.results[0]["phase_type"]}
        return replace(question, prompt=f"{question.prompt}\n\n{shown}", facts=facts)
