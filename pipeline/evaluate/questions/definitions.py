"""What does a term mean? The guide's own prompts come first, then every term once more in other words."""

from __future__ import annotations

from random import Random

from pipeline.data.regions import Region
from pipeline.evaluate.question import Question, question_kind
from pipeline.evaluate.sealed import EvaluationSet


@question_kind("definitions")
class Definitions:
    """A fixed list, in its order; a term has no parameter space to extrapolate in."""

    name: str
    regions = False
    forms = 1

    def plan(self, chosen: EvaluationSet, rng: Random, region: Region, index: int) -> Question | None:
        terms = chosen.table("definitions.toml")["term"]
        asked = [
            (term, term["ask"][turn])
            for turn in range(max(len(t["ask"]) for t in terms))
            for term in terms
            if turn < len(term["ask"])
        ]
        if index >= len(asked):
            return None
        term, ask = asked[index]
        return Question(self.name, region.name, ask, facts=dict(term), max_tokens=128)

    def finish(self, question: Question) -> Question:
        return question
