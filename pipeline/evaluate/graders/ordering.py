"""Right where every pair with a clear gap stands in the simulator's order."""

from __future__ import annotations

import re
from itertools import pairwise

from pipeline.evaluate.graders.names import all_mentions, plain
from pipeline.evaluate.question import Grade, Question, grader
from pipeline.evaluate.questions.ordering import CLEAR, gap

_MORE = r"(?i:larger|largest|higher|highest|greater|greatest|bigger|biggest|more|most)"
_LESS = r"(?i:smaller|smallest|lower|lowest|less|least|fewer)"
_BETWEEN = r"(?:(?!\bthan\b)[^.;,AB]){0,30}?"
# "A larger value is found in B": an article, and no run.
_ARTICLE = rf"A\s(?:{_MORE}|{_LESS})\s(?!than\b|because\b|by\b|in\b|at\b|here\b|and\b|since\b)\w"
_VERDICTS = (
    # A is (not) larger; B's entropy is higher; A has the lower value
    rf"\b(?!{_ARTICLE})(?P<x1>[AB])\b(?:'s|:)?\s{_BETWEEN}\b(?:(?P<more1>{_MORE})|(?P<less1>{_LESS}))\b",
    # the larger one is (not) B; larger: B; more in run B; the answer is B
    rf"\b(?:(?P<more2>{_MORE}|(?i:winner|answer))|(?P<less2>{_LESS}))\b{_BETWEEN}"
    r"(?:\bis|\bwith|\bin|\bfor|\bto|:)\s+(?:not\s+)?(?:run\s+)?\b(?P<x2>[AB])\b",
    r"\b(?P<x3>[AB])\b\s*(?:(?P<more3>>|\bwins\b)|(?P<less3><|\bloses\b))",
)
_VERDICT = re.compile("|".join(_VERDICTS))
_DENIED = re.compile(r"\b(?:not|no|never)\b|n't\b")
_ALONE = re.compile(
    r"(?:(?:the )?answer(?: is)?:?\s+|it'?s?(?: is)?\s+)?(?:run\s+)?\b([AB])(?:[.,:(;]|\s+because\b|$)", re.I
)
_TIE = re.compile(
    r"\b(?:A\s*=\s*B|B\s*=\s*A)\b|\b(?:they|both|A and B) are (?:equal|the same)\b|\bA and B have the same\b"
    r"|\b(?i:neither)\b|\b(?i:tie)\b"
)
_NONE = re.compile(r"\b(?i:neither)\s+(?:run\s+)?[AB]\b|\bA and B (?:have the same|are (?:equal|the same))\b")
_RISING = re.compile(
    r"(?:smallest|lowest|least|weakest)\s+(?:\w+\s+)?(?:to|first)\b|\b(?:ascending|increasing|rising)\b", re.I
)
_JOINED = re.compile(r"[\s>=<‹›≈≥≤,→:`*\d.)]*(?:then|and)?\s*")


def winner(answer: str) -> str | None:
    """A or B, as the answer's last verdict says; None where it says neither."""
    text = re.sub(r"[*`]|(?<=\b[AB])_+|_+(?=[AB]\b)", "", answer.strip())
    said = None
    if _NONE.search(text):
        return None
    for match in _VERDICT.finditer(text):
        run = match["x1"] or match["x2"] or match["x3"]
        less = bool(match["less1"] or match["less2"] or match["less3"])
        said = _other(run) if less != bool(_DENIED.search(match.group())) else run
    if said is None and not _TIE.search(text) and (alone := _ALONE.match(text)):
        run = alone.group(1).upper()
        # "A: … B: …" lists the two runs and answers nothing.
        return None if re.search(rf"\b{_other(run)}:", text) else run
    return said


def _other(run: str) -> str:
    return "B" if run == "A" else "A"


def ranking(answer: str) -> dict[str, int]:
    """Each phase's rank, 0 for the largest: the last four that are joined by signs, else as they come.

    Phases with "=" between them share a rank; "<", or "from smallest to largest" in front, turns the order around.
    """
    text = plain(answer)
    found = [(phase, span) for phase, span, denied in all_mentions(text) if denied in (None, "than")]
    listed = next(filter(None, (_stretch(text, found[i : i + 4]) for i in reversed(range(len(found))))), None)
    if listed is None:
        first: dict[str, tuple[int, int]] = {}
        for phase, span in found:
            first.setdefault(phase, span)
        listed = list(first.items())
    ranks: dict[str, int] = {}
    before, rank, between = 0, -1, ""
    for phase, (start, end) in listed:
        joint = text[before:start].strip() if ranks else ""
        rank += joint != "="
        ranks[phase], before, between = rank, end, between + joint
    falls = ">" in between or "›" in between
    if "<" in between or "‹" in between or (not falls and listed and _RISING.search(text[: listed[0][1][0]])):
        return {phase: rank - place for phase, place in reversed(ranks.items())}
    return ranks


def _stretch(text: str, four: list[tuple[str, tuple[int, int]]]) -> list[tuple[str, tuple[int, int]]] | None:
    """The four mentions where they are four phases with nothing but signs and "then" between them."""
    if len({phase for phase, _ in four}) < 4:
        return None
    gaps = [text[one[1][1] : other[1][0]] for one, other in pairwise(four)]
    return four if all(_JOINED.fullmatch(gap) for gap in gaps) else None


@grader("ordering")
def ordering(question: Question, answer: str) -> Grade:
    """Pairs by the named winner, rankings by every clear pair."""
    if question.facts["form"] == "pair":
        wanted = "A" if gap(question, 0, 1) > 0 else "B"
        said = winner(answer)
        return Grade(said == wanted, f"said {said or 'neither'}, and it is {wanted}")
    ranked = ranking(answer)
    phases = [str(run.params["phase_type"]) for run in question.runs]
    missing = [phase for phase in phases if phase not in ranked]
    if missing:
        return Grade(False, f"left out {', '.join(missing)}")
    for one, first in enumerate(phases):
        for other, second in enumerate(phases):
            if gap(question, one, other) >= CLEAR and ranked[first] >= ranked[second]:
                put = "beside" if ranked[first] == ranked[second] else "above"
                return Grade(False, f"put {second} {put} {first}, and {first} has more {question.feature}")
    return Grade(True, f"ranked {' > '.join(ranked)}")
