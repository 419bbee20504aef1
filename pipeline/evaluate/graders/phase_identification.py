"""Right where the answer names the run's phase, and no other in its verdict."""

from __future__ import annotations

import re

from pipeline.evaluate.graders.names import ANY, all_mentions, phases_in, plain
from pipeline.evaluate.question import Grade, Question, grader

_SENTENCE = re.compile(r"(?<=[.;!?])\s+|\n+")
_DOUBT = re.compile(
    r"(?<!\bI )(?<!\bwe )(?<!\banswer )(?<!\bguess )(?<!\bverdict )\bwould\b(?! say)"
    r"|\b(?:could|might|may|if|whether|at first)\b|\?",
    re.I,
)
_GUESS = re.compile(
    rf"{_DOUBT.pattern}|^\s{{0,9}}(?:in|for) an? "
    r"|^\s{0,9}(?:an?|every|each) (?:\S+ ){1,3}(?:has|have|shows?)\b",
    re.I,
)
"""What is no verdict on this run: guesses, questions, and what a phase is like in general."""
_ADVICE = re.compile(
    r"\b(?:compare (?:it )?with|next:|you could|try)\b"
    r"|\b(?:second (?:choice|most|best)|next closest|runner[- ]up|alternatives?\b|unlikely|for comparison)\b",
    re.I,
)
"""What to do next, and what comes second, names phases and judges none."""
_NAMES_FIRST = re.compile(r"^\W*(?:run\s{1,9})?$", re.I)
_SAYS = re.compile(
    r"(?::\s{0,9}|\b(?:it|this|that|these|they|run|phase|type|fingerprint|answer|verdict|label|match|guess|bet|choice"
    r"|conclusion)(?:\s{1,9}type)?"
    r"(?:\s{1,9}(?:is|was|are|would be|must be|has to be|belongs? to|comes? from|came from|looks? like"
    r"|matche?s?)|[’']s)\s{1,9}"
    r"|\b(?:go with|bet on|(?:classify|identify|label) (?:\w+ ){1,3}as|assign (?:\w+ ){1,3}to)\s{1,9})"
    r"(?:(?:clearly|surely|indeed|none other than|most likely|probably|of)\s{1,9})?(?:the\s{1,9}"
    r"|an?\s{1,9})?(?:phase\s{1,9})?$",
    re.I,
)
_AFTER_VERDICT = re.compile(r"\s{0,9}(?:phase|state|run)?\s{0,9}(?:[.,;:!(]|since\b|because\b|$)", re.I)
_APART = re.compile(r",\s{1,9}(?:which|while|whereas|unlike|as opposed to|in contrast to)\b", re.I)
_CONDITION = re.compile(r"\b(?:if|whether)\b|\?", re.I)
_BARE_TRIVIAL = re.compile(r"\btrivial(?![\s_-]{0,9}(?:product|phase|state)|\W{0,9}$)", re.I)
"""An everyday word, where it does not stand for the phase."""
_LISTED = 3
"""So many phases in lines of their own are a list."""


@grader("phase_identification")
def phase_identification(question: Question, answer: str) -> Grade:
    """The verdict is the last sentence that says "it is" one phase, else that begins with one, else that names one.

    Guesses (would, might), advice on what to do next, and lists of several are none, but a guess that names the only
    phase of the answer.
    """
    wanted = str(question.facts["phase"])
    pieces = [_BARE_TRIVIAL.sub(" ", piece) for piece in _SENTENCE.split(answer)]
    sentences = [
        piece for piece in pieces if not _ADVICE.search(piece) and (_says(piece, _SAYS) or not _GUESS.search(piece))
    ]
    items = [sentence for sentence in sentences if _is_item(sentence)]
    if len({phases_in(item)[0] for item in items}) >= _LISTED:
        sentences = [sentence for sentence in sentences if sentence not in items]
    verdicts: list[str] = []
    for rank in (_SAYS, _NAMES_FIRST, None):
        named = [_named(sentence) for sentence in sentences if rank is None or _says(sentence, rank)]
        verdicts = verdicts or [phases[0] for phases in named if len(phases) == 1]
    listed = phases_in("\n".join(pieces))
    if not verdicts and len(listed) == 1 and not _CONDITION.search(answer):
        verdicts = listed  # a guess, and the only one
    if not verdicts:
        return Grade(False, f"named {', '.join(listed) or 'no phase'}, and it is {wanted}")
    if verdicts[-1] != wanted:
        return Grade(False, f"named {verdicts[-1]}, and it is {wanted}")
    return Grade(True, f"named {wanted}")


def _says(sentence: str, form: re.Pattern[str]) -> bool:
    """Whether it is a verdict by its form: "it is X", "phase type: X", X alone or first; no "it would be X"."""
    text = plain(sentence)
    return not _DOUBT.search(text) and any(
        form.search(text[:start]) and _AFTER_VERDICT.match(text, end)
        for _, (start, end), denied in all_mentions(text)
        if denied is None
    )


def _named(sentence: str) -> list[str]:
    """The phases of a sentence, without those in brackets and those that it sets its first one apart from."""
    first = _APART.split(re.sub(r"\([^()]*\)", "", plain(sentence)), maxsplit=1)[0]
    return phases_in(first) or phases_in(sentence)


def _is_item(sentence: str) -> bool:
    """Whether it is a phase's name and nothing else, as in a list."""
    return len(phases_in(sentence)) == 1 and not re.search(r"[a-z]", ANY.sub("", sentence), re.I)
