"""Grades a verdict that was given under a grammar, and definitions by their relations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import simulator
from pipeline.data.regions import PHASES
from pipeline.evaluate.question import Question
from pipeline.evaluate.relations import Grade, grade_relations
from simulator.number_text import measured

TOLERANCE = 0.15
"""How far a number may be from the simulator's, in units of its feature's scale."""
CLEAR = 0.3
"""The gap that a fair comparison has, in units of the feature's scale: twice the tolerance of a number."""
NUMBER_GRAMMAR = 'root ::= " "? "-"? [0-9]{1,3} ("." [0-9]{1,4})?'
RANKINGS = tuple(" > ".join(order) for order in permutations(PHASES))


def tolerance(feature: str) -> float:
    """Return how far an answer may be from the simulator's value."""
    return TOLERANCE * float(simulator.FEATURE_SCALES[feature])


def gap(question: Question, first: int, second: int) -> float:
    """Return by how many scales the first run's feature exceeds the second's."""
    values = [float(question.results[place]["features"][question.feature]) for place in (first, second)]
    return (values[0] - values[1]) / simulator.FEATURE_SCALES[question.feature]


def grade(question: Question, answer: str, verdict: str) -> Grade:
    """Return the grade of a free answer and the verdict that followed it."""
    return _GRADERS[question.kind](question, answer, verdict)


def _identification(question: Question, answer: str, verdict: str) -> Grade:
    wanted = str(question.facts["phase"])
    return Grade(verdict == wanted, f"chose {verdict}, and it is {wanted}")


def _numeric(question: Question, answer: str, verdict: str) -> Grade:
    truth = float(question.results[0]["features"][question.feature])
    right = abs(float(verdict) - truth) <= tolerance(question.feature)
    return Grade(right, f"said {verdict}, the simulator {measured(truth)} ± {tolerance(question.feature):.3g}")


def _ordering(question: Question, answer: str, verdict: str) -> Grade:
    """Pairs by the larger run; rankings by every pair with a clear gap."""
    if question.facts["form"] == "pair":
        wanted = "A" if gap(question, 0, 1) > 0 else "B"
        return Grade(verdict == wanted, f"chose {verdict}, and it is {wanted}")
    ranks = {phase: rank for rank, phase in enumerate(verdict.split(" > "))}
    phases = [str(run.params["phase_type"]) for run in question.runs]
    for one, first in enumerate(phases):
        for other, second in enumerate(phases):
            if gap(question, one, other) >= CLEAR and ranks[first] > ranks[second]:
                return Grade(False, f"put {second} above {first}, and {first} has more {question.feature}")
    return Grade(True, f"ranked {verdict}")


def _definition(question: Question, answer: str, verdict: str) -> Grade:
    return grade_relations(answer, question.facts["needs"], question.facts["never"])


_GRADERS: dict[str, Callable[[Question, str, str], Grade]] = {
    "phase_identification": _identification,
    "numeric": _numeric,
    "ordering": _ordering,
    "definitions": _definition,
}
