"""Right where the answer names the run's phase, and no other in its verdict."""

from __future__ import annotations

import re

from pipeline.evaluate.graders.names import phases_in
from pipeline.evaluate.question import Grade, Question, grader

_SENTENCE = re.compile(r"(?<=[.;!?])\s+|\n+")
_GUESS = re.compile(r"\b(?:would(?! say)|could|might|may|if|whether|at first)\b|\?|^\s*(?:in|for) an? ", re.I)


@grader("phase_identification")
def phase_identification(question: Question, answer: str) -> Grade:
    """The verdict is the last sentence that names one phase; guesses (would, might) and lists of several are none."""
    wanted = str(question.facts["phase"])
    named = [phases_in(sentence) for sentence in _SENTENCE.split(answer) if not _GUESS.search(sentence)]
    verdicts = [phases[0] for phases in named if len(phases) == 1]
    if not verdicts:
        listed = [phase for phases in named for phase in phases]
        return Grade(False, f"named {', '.join(listed) or 'no phase'}, and it is {wanted}")
    if verdicts[-1] != wanted:
        return Grade(False, f"named {verdicts[-1]}, and it is {wanted}")
    return Grade(True, f"named {wanted}")
