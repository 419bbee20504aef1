"""Counts grades into the scores of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.data.regions import TEST, TEST_FAR
from pipeline.evaluate.asking import Means
from pipeline.evaluate.contradictions import count
from pipeline.evaluate.graders.numeric import tolerance
from pipeline.evaluate.intervals import score
from pipeline.evaluate.question import Grade, Question, grade


@dataclass(frozen=True)
class Answer:
    """One question, what a model said, and its grade."""

    question: Question
    model: str
    text: str
    grade: Grade
    checked: int
    contradicted: int

    def as_dict(self) -> dict[str, Any]:
        """The answer as a report keeps it."""
        question = self.question
        return {
            "kind": question.kind,
            "region": question.region,
            "model": self.model,
            "prompt": question.prompt,
            "answer": self.text,
            "right": self.grade.right,
            "reason": self.grade.reason,
            "numbers": self.checked,
            "contradicted": self.contradicted,
            "runs": [run.as_dict() for run in question.runs],
        }


def judge(question: Question, model: str, text: str) -> Answer:
    """Grades one answer and checks its numbers."""
    numbers = count(question, text)
    return Answer(question, model, text, grade(question, text), numbers.checked, numbers.contradicted)


def scores(answers: list[Answer], means: Means) -> dict[str, Any]:
    """Scores by kind and model and the contradicted numbers of each model, extrapolation apart."""
    near = [answer for answer in answers if answer.question.region == TEST.name]
    far = [answer for answer in answers if answer.question.region == TEST_FAR.name]
    report: dict[str, Any] = {**_by_kind(near, means), "contradicted_numbers": _contradicted_by_model(near)}
    if far:
        report["extrapolation"] = {**_by_kind(far, means), "contradicted_numbers": _contradicted_by_model(far)}
    return report


def _contradicted_by_model(answers: list[Answer]) -> dict[str, Any]:
    """`contradicted` of each model's answers, in all and by kind; {} where no answer has a number to check."""
    return {
        model: {**contradicted(own := [a for a in answers if a.model == model]), "kinds": _contradicted_by_kind(own)}
        for model in (_models(answers) if any(answer.checked for answer in answers) else [])
    }


def contradicted(answers: list[Answer]) -> dict[str, object]:
    """The share of checked numbers that the simulator contradicts, and on how many answers that rests."""
    numbered = [answer for answer in answers if answer.checked]
    rate = score(sum(a.contradicted for a in numbered), sum(a.checked for a in numbered))
    wrong = sum(1 for answer in numbered if answer.contradicted)
    rate["contradicted"] = rate.pop("right")
    return {**rate, "answers": len(answers), "answers_with_numbers": len(numbered), "answers_contradicted": wrong}


def _contradicted_by_kind(answers: list[Answer]) -> dict[str, dict[str, object]]:
    """The same for each kind whose answers hold numbers of their own."""
    kinds = dict.fromkeys(answer.question.kind for answer in answers if answer.checked)
    return {kind: contradicted([a for a in answers if a.question.kind == kind]) for kind in kinds}


def _models(answers: list[Answer]) -> list[str]:
    return list(dict.fromkeys(answer.model for answer in answers))


def _by_kind(answers: list[Answer], means: Means) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for kind in dict.fromkeys(answer.question.kind for answer in answers):
        own = [answer for answer in answers if answer.question.kind == kind]
        table[kind] = {
            model: score(sum(a.grade.right for a in own if a.model == model), sum(a.model == model for a in own))
            for model in _models(own)
        }
        if kind == "numeric":
            table[kind]["training_mean"] = _always_mean(own, means, by_phase=False)
            table[kind]["phase_mean"] = _always_mean(own, means, by_phase=True)
    return table


def _always_mean(answers: list[Answer], means: Means, *, by_phase: bool) -> dict[str, object]:
    """What always answering the feature's training mean (the phase's own, by_phase) scores on the same questions."""
    first = answers[0].model
    right = n = 0
    for question in [answer.question for answer in answers if answer.model == first]:
        guess = means[str(question.runs[0].params["phase_type"]) if by_phase else ""][question.feature]
        right += abs(guess - float(question.results[0]["features"][question.feature])) <= tolerance(question.feature)
        n += 1
    return score(right, n)
