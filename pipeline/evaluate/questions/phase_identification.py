"""Which phase has this fingerprint? The prompt names no phase, seed or id."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from pipeline.data.claims import Run
from pipeline.data.regions import PHASES, Region, draw
from pipeline.data.wordings import fingerprint_text
from pipeline.evaluate.question import Question, question_kind, wordings


@question_kind("phase_identification")
class PhaseIdentification:
    """Phases take turns, so that each is asked equally often."""

    name: str
    regions = True
    forms = 1

    def plan(self, rng: Random, region: Region, index: int) -> Question:
        params = draw(rng, region, PHASES[index % len(PHASES)], biased=rng.random() < 0.5)
        return Question(
            self.name, region.name, rng.choice(wordings()[self.name]), [Run("run_phase", params)], max_tokens=48
        )

    def finish(self, question: Question) -> Question:
        shown = fingerprint_text(question.results[0]["features"])
        facts = {"phase": question.results[0]["phase_type"]}
        return replace(question, prompt=f"{question.prompt}\n\n{shown}", facts=facts)
