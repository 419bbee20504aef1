"""Right where the answer names the run's phase, and no other in its verdict."""

from __future__ import annotations

import re

from pipeline.evaluate.graders.names import ANY, phases_in
from pipeline.evaluate.question import Grade, Question, grader

_SENTENCE = re.compile(r"(?<=[.;!?])\s+|\n+")
_GUESS = re.compile(
    r"\b(?:would(?! say)|could|might|may|if|whether|at first)\b|\?|^\s*(?:in|for) an? "
    r"|^\s*(?:an?|every|each) (?:\S+ ){1,3}(?:has|have|shows?)\b",
    re.I,
)
"""What is no verdict on this run: guesses, questions, and what a phase is like in general."""
_LISTED = 3
"""So many phases in lines of their own are a list."""


@grader("phase_identification")
def phase_identification(question: Question, answer: str) -> Grade:
    """The verdict is the last sentence that names one phase; guesses (would, might) and lists of several are none."""
    wanted = str(question.facts["phase"])
    sentences = [sentence for sentence in _SENTENCE.split(answer) if not _GUESS.search(sentence)]
    items = [sentence for sentence in sentences if _is_item(sentence)]
    if len({phases_in(item)[0] for item in items}) >= _LISTED:
        sentences = [sentence for sentence in sentences if sentence not in items]
    named = [phases_in(sentence) for sentence in sentences]
    verdicts = [phases[0] for phases in named if len(phases) == 1]
    if not verdicts:
        listed = list(dict.fromkeys(phases_in(answer)))
        return Grade(False, f"named {', '.join(listed) or 'no phase'}, and it is {wanted}")
    if verdicts[-1] != wanted:
        return Grade(False, f"named {verdicts[-1]}, and it is {wanted}")
    return Grade(True, f"named {wanted}")


def _is_item(sentence: str) -> bool:
    """Whether it is a phase's name and nothing else, as in a list."""
    return len(phases_in(sentence)) == 1 and not re.search(r"[a-z]", ANY.sub("", sentence), re.I)
