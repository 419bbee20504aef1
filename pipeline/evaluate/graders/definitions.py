"""Right where every needed idea is said, and nothing known to be wrong."""

from __future__ import annotations

import re

import simulator
from pipeline.evaluate.question import Grade, Question, grader
from simulator.setting_mentions import AT

_PREDICTED = re.compile(
    rf"\b(?:{'|'.join(simulator.FEATURE_NAMES)})(?:{AT}:?)? [-−]?\d[\d.]*|\bsize \d+, depth \d+(?:, bias [\d.]+)?", re.I
)
"""A foretold number, or the place of a run: they say what a run gives and not what a term means."""
_DENIED = re.compile(
    r"(?:\b(?:not|no|never|without|neither|nor|lacks?)|n[’']t)\s{1,9}(?:\w+\s{1,9}){0,3}$|\bunlike\s[^.;]{0,40}$", re.I
)


@grader("definitions")
def definitions(question: Question, answer: str) -> Grade:
    """One alternative of every group has to be said and not denied; case and what predicts a run's numbers aside."""
    answer = _PREDICTED.sub(" ", answer)
    for pattern in question.facts["wrong"]:
        if said := _says(answer, pattern):
            return Grade(False, f"says {said[:60]!r}, which is wrong")
    for group in question.facts["needs"]:
        if not any(_says(answer, pattern) for pattern in group):
            return Grade(False, f"does not say {group[0]!r}")
    return Grade(True, "says all that is needed")


def _says(answer: str, pattern: str) -> str:
    """What the pattern finds at a place where nothing before it denies it; empty where it finds nothing."""
    hits = (found for found in re.finditer(pattern, answer, re.I) if not _DENIED.search(answer[: found.start()]))
    return next((found.group() for found in hits), "")
