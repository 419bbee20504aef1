"""Counts grades into the scores of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.data.regions import TEST, TEST_FAR
from pipeline.evaluate.baselines import BASE
from pipeline.evaluate.conversation.grading import TurnGrade
from pipeline.evaluate.conversation.play import Played
from pipeline.evaluate.conversation.script import Dialogue
from pipeline.evaluate.graders import tolerance
from pipeline.evaluate.intervals import score
from pipeline.evaluate.question import Question
from pipeline.evaluate.question_sampling import Means
from pipeline.evaluate.relations import Grade

Scores = dict[str, Any]
_MOST_TOPICS = 2
"""Topics in which one and the same text may answer: one that fits everywhere answers nothing."""


@dataclass(frozen=True)
class Answer:
    """One question, what a model said, its verdict, and the grade."""

    question: Question
    model: str
    text: str
    verdict: str
    grade: Grade

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as a report keeps it."""
        return {
            "kind": self.question.kind,
            "region": self.question.region,
            "model": self.model,
            "prompt": self.question.prompt,
            "answer": self.text,
            "verdict": self.verdict,
            "right": self.grade.right,
            "reason": self.grade.reason,
            "runs": [run.as_dict() for run in self.question.runs],
        }


@dataclass(frozen=True)
class PlayedDialogue:
    """One dialogue as a model went through it, with the grade of every turn."""

    dialogue: Dialogue
    model: str
    turns: Sequence[Played]
    grades: Sequence[TurnGrade]

    @property
    def right(self) -> bool:
        """Whether the whole dialogue went right."""
        return all(grade.right for grade in self.grades)

    def as_dict(self) -> dict[str, Any]:
        """Return the dialogue as a report keeps it."""
        turns = [
            {
                "person": turn.turn.text,
                "replies": turn.raw,
                "chosen": turn.chosen,
                "right": grade.right,
                "checks": dict(grade.checks),
                "reasons": dict(grade.reasons),
            }
            for turn, grade in zip(self.turns, self.grades, strict=True)
        ]
        return {"name": self.dialogue.name, "topic": self.dialogue.topic, "model": self.model, "turns": turns}


def question_scores(answers: Sequence[Answer], means: Means) -> Scores:
    """Return scores by kind and model, extrapolation apart."""
    near = [answer for answer in answers if answer.question.region == TEST.name]
    far = [answer for answer in answers if answer.question.region == TEST_FAR.name]
    report = _by_kind(near, means)
    return {**report, "extrapolation": _by_kind(far, means)} if far else report


def _by_kind(answers: Sequence[Answer], means: Means) -> Scores:
    table: Scores = {}
    for kind in dict.fromkeys(answer.question.kind for answer in answers):
        own = [answer for answer in answers if answer.question.kind == kind]
        table[kind] = {model: _share(a.grade.right for a in own if a.model == model) for model in _models(own)}
        if kind == "numeric":
            table[kind]["training_mean"] = _always_mean(own, means, by_phase=False)
            table[kind]["phase_mean"] = _always_mean(own, means, by_phase=True)
    return table


def _models(items: Iterable[Any]) -> list[str]:
    return sorted(dict.fromkeys(item.model for item in items), key=lambda model: (model != BASE, model))


def _share(right: Iterable[bool]) -> dict[str, object]:
    found = list(right)
    return score(sum(found), len(found))


def _always_mean(answers: Sequence[Answer], means: Means, *, by_phase: bool) -> dict[str, object]:
    """What always answering the feature's training mean (with by_phase, the phase's own) scores on the questions."""
    right = []
    for question in [answer.question for answer in answers if answer.model == answers[0].model]:
        guess = means[str(question.runs[0].params["phase_type"]) if by_phase else ""][question.feature]
        truth = float(question.results[0]["features"][question.feature])
        right.append(abs(guess - truth) <= tolerance(question.feature))
    return _share(right)


def conversation_scores(played: Sequence[PlayedDialogue]) -> Scores:
    """Return `conversation` (dialogues wholly right) and its parts, each by model, free and under grammar apart.

    Parts: the calls of the turns that want one (free decoding, and under their grammar), silence in the turns that want
    none, answers that owe a number and whose every number is right, all answers without a number from nowhere,
    directions of comparisons, and the later turns of follow-ups.
    """
    table: Scores = {}
    for model in _models(played):
        own = [item for item in played if item.model == model]
        spread = _one_text_for_all(own)
        rows = {
            "conversation": [item.right and item.dialogue.name not in spread for item in own],
            "conversation_under_grammar": [
                all(grade.right_under_grammar for grade in item.grades) and item.dialogue.name not in spread
                for item in own
            ],
            "numbers": [
                all(grade.checks[check] for check in _OF_A_NUMBER)
                for item in own
                for grade in item.grades
                if "value" in grade.checks
            ],
            "follow_ups": [grade.right for item in own if item.dialogue.follow_up for grade in list(item.grades)[1:]],
            **{
                title: [grade.checks[check] for item in own for grade in item.grades if check in grade.checks]
                for title, check in _PARTS.items()
            },
        }
        for row, right in rows.items():
            if right:
                table.setdefault(row, {})[model] = _share(right)
        table.setdefault("topics", {})[model] = {
            topic: _share(
                item.right and item.dialogue.name not in spread for item in own if item.dialogue.topic == topic
            )
            for topic in sorted({item.dialogue.topic for item in own})
        }
    return table


_PARTS = {
    "calls": "call",
    "calls_under_grammar": "call_under_grammar",
    "silence": "silent",
    "nothing_from_nowhere": "numbers",
    "directions": "direction",
}
CONVERSATION_ROWS = ("conversation", "conversation_under_grammar", "numbers", "follow_ups", *_PARTS)
_OF_A_NUMBER = ("value", "numbers", "own_words")
"""What an answer has to pass if a number is due: it is given, no other is wrong, and it is no copy of the result."""


def _one_text_for_all(played: Sequence[PlayedDialogue]) -> set[str]:
    """The dialogues of one topic after another that were answered with the same text."""
    topics: dict[str, set[str]] = {}
    names: dict[str, set[str]] = {}
    for item in played:
        for turn in item.turns:
            if turn.turn.needs or turn.turn.bound is not None or turn.turn.command:
                text = " ".join(turn.answer.lower().split())
                topics.setdefault(text, set()).add(item.dialogue.topic)
                names.setdefault(text, set()).add(item.dialogue.name)
    return {name for text, found in topics.items() if len(found) > _MOST_TOPICS for name in names[text]}
