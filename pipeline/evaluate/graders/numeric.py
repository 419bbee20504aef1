"""Right within 0.15 of the feature's scale of what the simulator says."""

from __future__ import annotations

import re

import simulator
from pipeline.evaluate.graders.names import plain
from pipeline.evaluate.question import Grade, Question, grader
from pipeline.evaluate.reading import LINK, of_these_runs, values_alone
from simulator.number_text import NUMBER, measured, numbers_in, plain_minus

BETWEEN = rf"(?:[\s:=≈~]+|(?<=\s)(?:{LINK})\b)*+"
"""What may stand between a feature's name and its number."""
_OTHER = re.compile(rf"\b(?:{'|'.join(simulator.FEATURE_NAMES)})\b{BETWEEN}(?={NUMBER.pattern})", re.I)
_ZERO = re.compile(r"(?<!not )(?<!non-)(?<!non )(?<!n't )(?<!never )\b(?:zero|vanishes)\b", re.I)
TOLERANCE = 0.15
"""Of a feature's scale."""


def tolerance(feature: str) -> float:
    """How far an answer may be from the simulator's value."""
    return TOLERANCE * float(simulator.FEATURE_SCALES[feature])


def stated_value(question: Question, answer: str) -> float | None:
    """The number that the answer gives for the feature: at its name, else the first that the prompt has not."""
    answer = values_alone(of_these_runs(plain(answer), [run.params for run in question.runs]), question.feature)
    stated = re.search(rf"\b{question.feature}\b{BETWEEN}", answer, re.I)
    after = answer[stated.end() :] if stated else answer
    # Another feature's number is no answer, whether the asked one is named or not.
    if other := _OTHER.search(after):
        after = after[: other.start()]
    if stated and (at_once := NUMBER.match(after)):
        return float(plain_minus(at_once.group()))
    given = set(numbers_in(question.prompt))
    fresh = [text for text in numbers_in(after) if text not in given]
    if not fresh:
        return 0.0 if _ZERO.search(after) else None
    return float(fresh[0])


@grader("numeric")
def numeric(question: Question, answer: str) -> Grade:
    """The stated value against the simulator's."""
    truth = float(question.results[0]["features"][question.feature])
    value = stated_value(question, answer)
    if value is None:
        return Grade(False, f"no number, and {question.feature} is {measured(truth)}")
    right = abs(value - truth) <= tolerance(question.feature)
    return Grade(right, f"said {value:g}, the simulator {measured(truth)} ± {tolerance(question.feature):.3g}")
