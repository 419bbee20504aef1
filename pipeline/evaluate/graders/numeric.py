"""Right within 0.15 of the feature's scale of what the simulator says."""

from __future__ import annotations

import re

import simulator
from pipeline.data.numbers import NUMBER, measured, numbers_in
from pipeline.evaluate.question import Grade, Question, grader

_OTHER = re.compile(rf"\b(?:{'|'.join(simulator.FEATURE_NAMES)})\b")
TOLERANCE = 0.15
"""Of a feature's scale."""


def tolerance(feature: str) -> float:
    """How far an answer may be from the simulator's value."""
    return TOLERANCE * float(simulator.FEATURE_SCALES[feature])


def stated_value(question: Question, answer: str) -> float | None:
    """The number that the answer gives for the feature: the one at its name, else the first that is no setting."""
    stated = re.search(rf"\b{question.feature}\b(?:\s+(?:is|of|at|about|be|will|value|around|≈|=)|[\s:=≈~*`])*", answer)
    after = answer[stated.end() :] if stated else answer
    if stated and (other := _OTHER.search(after)):
        after = after[: other.start()]
    if stated and (at_once := NUMBER.match(after)):
        return float(at_once.group().replace("−", "-"))
    given = set(numbers_in(question.prompt))
    fresh = [text for text in numbers_in(after) if "." in text or text not in given]
    return float(fresh[0]) if fresh else None


@grader("numeric")
def numeric(question: Question, answer: str) -> Grade:
    """The stated value against the simulator's."""
    truth = float(question.results[0]["features"][question.feature])
    value = stated_value(question, answer)
    if value is None:
        return Grade(False, f"no number, and {question.feature} is {measured(truth)}")
    right = abs(value - truth) <= tolerance(question.feature)
    return Grade(right, f"said {value:g}, the simulator {measured(truth)} ± {tolerance(question.feature):.3g}")
