"""A question, a grade, and the tables in which their kinds register."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, Protocol

from pipeline.data.claims import Run
from pipeline.data.regions import Region
from pipeline.errors import BadInput

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """What is asked, and what is needed to grade it.

    `runs` are the experiments behind it, `results` their numbers (filled in after the simulator ran), `feature` what
    an unlabelled number of the answer is about, `facts` what a kind's grader wants to know.
    """

    kind: str
    region: str
    prompt: str
    runs: list[Run] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    feature: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    max_tokens: int = 96


@dataclass(frozen=True)
class Grade:
    """Whether an answer is right, and why."""

    right: bool
    reason: str


class QuestionKind(Protocol):
    """Plans questions of one kind. `finish` gets the results and may refuse a question by None.

    `regions`: asked outside the training grid, too. `forms`: so many forms, by `facts["form"]`, share the questions.
    """

    name: str
    regions: bool
    forms: int

    def plan(self, rng: Random, region: Region, index: int) -> Question | None:
        """A question without its numbers; None where the kind has no more."""
        ...

    def finish(self, question: Question) -> Question | None:
        """The question with its prompt complete; None where its numbers make it no fair question."""
        ...


Grader = Callable[[Question, str], Grade]
QUESTIONS: dict[str, QuestionKind] = {}
GRADERS: dict[str, Grader] = {}


def question_kind(name: str) -> Callable[[type[QuestionKind]], type[QuestionKind]]:
    """Registers a kind of question under `name`, once."""

    def register(cls: type[QuestionKind]) -> type[QuestionKind]:
        if name in QUESTIONS:
            raise ValueError(f"a kind of question named {name!r} is there already")
        cls.name = name
        QUESTIONS[name] = cls()
        return cls

    return register


def grader(name: str) -> Callable[[Grader], Grader]:
    """Registers the grader of a kind under `name`, once."""

    def register(function: Grader) -> Grader:
        if name in GRADERS:
            raise ValueError(f"a grader named {name!r} is there already")
        GRADERS[name] = function
        return function

    return register


def grade(question: Question, answer: str) -> Grade:
    """The grade of one answer. Raises BadInput where the kind has no grader."""
    if question.kind not in GRADERS:
        raise BadInput(f"{question.kind!r} has no grader: use one of {', '.join(GRADERS)}")
    return GRADERS[question.kind](question, answer)


@cache
def wordings() -> dict[str, Any]:
    """Evaluation's own wordings, by kind."""
    text = files("pipeline.evaluate").joinpath("wordings.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def definition_questions() -> list[dict[str, Any]]:
    """Questions about terms, the guide's own prompts first, with what a right answer says."""
    text = files("pipeline.evaluate").joinpath("definitions.toml").read_text(encoding="utf-8")
    questions: list[dict[str, Any]] = tomllib.loads(text)["question"]
    return questions
