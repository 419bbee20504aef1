"""Right where every pair with a clear gap stands in the simulator's order."""

from __future__ import annotations

import re

from pipeline.evaluate.graders.names import mentions
from pipeline.evaluate.question import Grade, Question, grader
from pipeline.evaluate.questions.ordering import CLEAR, gap

_WINNER = re.compile(
    r"\b(?:run\s+)?([AB])\b\s+(?:is|has|wins|shows|ends)\b(?!\s+(?:the\s+)?(?:smaller|lower|less|not))"
    r"|(?:larger|higher|greater|bigger|more|winner|answer)[^.AB]{0,20}\b([AB])\b",
)
_LOSER = re.compile(r"\b(?:run\s+)?([AB])\b\s+(?:is|has)\s+(?:the\s+)?(?:smaller|lower|less)\b")


def winner(answer: str) -> str | None:
    """A or B, as the answer says; None where it says neither."""
    text = re.sub(r"[*_`]{1,3}(?=[AB]\b)|(?<=\b[AB])[*_`]{1,3}", "", answer.strip())
    if re.fullmatch(r"(?:(?:the )?answer(?: is)?:?\s+)?(?:run\s+)?[AB]\.?", text, re.I):
        return text.rstrip(".")[-1].upper()
    lost = _LOSER.search(text)
    won = _WINNER.search(text)
    if won and (not lost or won.start() <= lost.start()):
        return won.group(1) or won.group(2)
    return {"A": "B", "B": "A"}[lost.group(1)] if lost else None


def ranking(answer: str) -> dict[str, int]:
    """Each phase's rank, 0 for the first: after the answer's last "order" where that lists all four.

    Phases with "=" between them share a rank.
    """
    _, mark, tail = answer.lower().rpartition("order:")
    text = tail if mark and len(mentions(tail)) == 4 else answer
    ranks: dict[str, int] = {}
    before, rank = 0, -1
    for phase, (start, end) in mentions(text).items():
        rank += text[before:start].strip() != "="
        ranks[phase], before = rank, end
    return ranks


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
