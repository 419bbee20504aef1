"""What will one feature of a run be? The number is never in the prompt."""

from __future__ import annotations

from random import Random

import simulator
from pipeline.data.claims import Run
from pipeline.data.regions import PHASES, Region, draw
from pipeline.evaluate.question import Question, question_kind
from pipeline.evaluate.sealed import EvaluationSet
from pipeline.evaluate.settings_text import run_text
from simulator.number_text import foretold, measured


@question_kind("numeric")
class Numeric:
    """Every phase with every feature in turn."""

    name: str
    regions = True
    forms = 1

    def plan(self, chosen: EvaluationSet, rng: Random, region: Region, index: int) -> Question:
        names = simulator.FEATURE_NAMES
        feature = names[index % len(names)]
        params = draw(rng, region, PHASES[index % len(PHASES)], biased=feature == "magnetization")
        wording = rng.choice(chosen.table("wordings.toml")[self.name])
        prompt = wording.format(feature=feature, settings=run_text(params))
        runs = [Run("run_phase", params)]
        return Question(self.name, region.name, prompt, runs, feature=feature, lead=f"\n{feature} =", max_tokens=40)

    def finish(self, question: Question) -> Question | None:
        """Return None if the answer, at two decimals or in the feature's steps, is one of the prompt's own numbers."""
        truth = question.results[0]["features"][question.feature]
        shown = {float(measured(truth)), float(foretold(question.feature, truth))}
        settings = [value for value in question.runs[0].params.values() if isinstance(value, int | float)]
        return None if any(float(value) in shown for value in settings) else question
