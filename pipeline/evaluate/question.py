"""A question with one answer, and the table in which the kinds register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from pipeline.data.claims import Run
from pipeline.data.regions import Region
from pipeline.evaluate.sealed import EvaluationSet

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """What is asked, and what is needed to grade it.

    The model answers freely; then it completes its own answer after `lead` with one of `options` (or, if there are
    none, with a number), and that verdict is graded. Without a `lead` the free answer is. `runs` are the experiments
    behind the question, `results` their numbers (filled in after the simulator ran), `feature` what it asks about.
    """

    kind: str
    region: str
    prompt: str
    runs: list[Run] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    feature: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    lead: str = ""
    options: tuple[str, ...] = ()
    max_tokens: int = 96


class QuestionKind(Protocol):
    """Plans questions of one kind. `finish` gets the results and may refuse a question by None.

    `regions`: asked outside the training grid, too. `forms`: how many forms, by `facts["form"]`, share the questions.
    """

    name: str
    regions: bool
    forms: int

    def plan(self, chosen: EvaluationSet, rng: Random, region: Region, index: int) -> Question | None:
        """Return a question without its numbers; None if the kind has no more."""
        ...

    def finish(self, question: Question) -> Question | None:
        """Return the question with its prompt complete; None if its numbers make it unfair."""
        ...


QUESTIONS: dict[str, QuestionKind] = {}


def question_kind(name: str) -> Callable[[type[QuestionKind]], type[QuestionKind]]:
    """Register a kind of question under `name`, once."""

    def register(cls: type[QuestionKind]) -> type[QuestionKind]:
        if name in QUESTIONS:
            raise ValueError(f"there is already a kind of question named {name!r}")
        cls.name = name
        QUESTIONS[name] = cls()
        return cls

    return register
