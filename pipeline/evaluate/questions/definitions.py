"""What does a term mean? The guide's four prompts and the four phase types come first."""

from __future__ import annotations

from random import Random

from pipeline.data.regions import Region
from pipeline.evaluate.question import Question, definition_questions, question_kind


@question_kind("definitions")
class Definitions:
    """A fixed list, in its order; a term has no parameter space to extrapolate in."""

    name: str
    regions = False
    forms = 1

    def plan(self, rng: Random, region: Region, index: int) -> Question | None:
        if index >= len(definition_questions()):
            return None
        item = definition_questions()[index]
        return Question(self.name, region.name, item["ask"], facts=dict(item), max_tokens=128)

    def finish(self, question: Question) -> Question:
        return question
