"""Right where every pair with a clear gap stands in the simulator's order."""

from __future__ import annotations

import re
from itertools import pairwise

import simulator
from pipeline.evaluate.graders.names import all_mentions, plain
from pipeline.evaluate.question import Grade, Question, grader
from pipeline.evaluate.questions.ordering import CLEAR, gap
from pipeline.evaluate.reading import asserted

# "More layers" and "a larger depth" are reasons, and no verdict.
_OF_SETTINGS = r"(?!\s{1,9}(?:depth|layers?|(?:system[_ ])?size|sites|qubits|bias|seed|number)\b)"
_MORE = rf"(?i:(?:larger|largest|higher|highest|greater|greatest|bigger|biggest|more|most)\b{_OF_SETTINGS})"
_LESS = rf"(?i:(?:smaller|smallest|lower|lowest|less|least|fewer)\b{_OF_SETTINGS})"
_BETWEEN = r"(?:(?!\bthan\b)[^.;,AB]){0,30}?"
# "A larger value is found in B": an article, and no run.
_ARTICLE = rf"A\s(?:{_MORE}|{_LESS})\s(?!than\b|because\b|by\b|in\b|at\b|here\b|and\b|since\b)\w"
_VERDICTS = (
    # A is (not) larger; B's entropy is higher; A has the lower value
    rf"\b(?!{_ARTICLE})(?P<x1>[AB])\b(?:'s|:)?\s{_BETWEEN}\b(?:(?P<more1>{_MORE})|(?P<less1>{_LESS}))\b",
    # in run A, zz_nearest is larger
    rf"\b[Ii]n (?:run )?(?P<x4>[AB]),\s{_BETWEEN}\b(?:(?P<more4>{_MORE})|(?P<less4>{_LESS}))\b",
    # the larger one is (not) B; larger: B; more in run B; the answer is B
    rf"\b(?:(?P<more2>{_MORE}|(?i:winner|answer|pick|choice))|(?P<less2>{_LESS}))\b{_BETWEEN}"
    r"(?:\bis|\bwith|\bin|\bfor|\bto|:)\s{1,9}(?:not\s{1,9})?(?:the\s{1,9})?(?:run\s{1,9})?\b(?P<x2>[AB])\b",
    r"\b(?P<x3>[AB])\b\)?\s{0,9}(?:(?P<more3>[>≥]|(?:\b(?:does|would|will|should)\s{1,9}(?:not\s{1,9})?)?"
    r"\b(?:wins?|exceeds?|beats?|comes? out (?:on top|ahead)|is the (?:winner|one))\b)|(?P<less3>[<≤]|\bloses\b))",
    # not A but B
    r"\b[Nn]ot (?:run )?[AB],? but (?:run )?\b(?P<x5>[AB])\b",
)
_VERDICT = re.compile("|".join(_VERDICTS))
_DENIED = re.compile(r"\b(?:not|no|never)\b|n't\b")
_ALONE = re.compile(
    r"(?:(?:yes|definitely),?\s{1,9})?(?:(?:the )?answer(?: is)?:?\s{1,9}|it'?s?(?: is)?\s{1,9}|that (?:is"
    r"|would be)\s{1,9}|in\s{1,9}"
    r"|(?:(?:i|we|you)(?: would| should|[’']d)?\s{1,9})?(?:choose|pick|say|take|keep|show|use|go with|believe|think)"
    r"\s{1,9}(?:it is\s{1,9}|(?:them|the(?: \w+)?)\s{1,9}(?=run|option|letter))?)?"
    r"(?:(?:run|option|letter)\s{1,9})?\b([AB])(?:[’']s)?(?:\s{0,9}[.,:(;!]|\s{1,9}(?:because|does)\b(?!\s{1,9}not)|$)",
    re.I,
)
_TIE = re.compile(
    r"\b(?:A\s{0,9}=\s{0,9}B|B\s{0,9}=\s{0,9}A)\b|\b(?:they|both|A and B) are (?:equal|the same)\b"
    r"|\bA and B have the same\b"
    r"|\b(?i:neither)\b|\b(?i:tie)\b"
)
_NONE = re.compile(r"\b(?i:neither)\s{1,9}(?:run\s{1,9})?[AB]\b|\bA and B (?:have the same|are (?:equal|the same))\b")
_RISING = re.compile(
    r"(?<!to )(?<!to the )\b(?:smallest|lowest|least|weakest)(?:\s{1,9}(?:\w+\s{1,9})?(?:to|first|is)\b"
    r"|\s{0,9}:)|\bbottom to top\b"
    r"|\b(?:ascending|increasing|rising)(?:\s{1,9}(?:order|ranking)\b|[^.;,:]{0,30}:)",
    re.I,
)
_RISING_AFTER = re.compile(
    r"[\s,(]{0,9}(?:in\s{1,9}|from\s{1,9})?(?:(?:ascending|increasing|rising)\s{1,9}order|(?:smallest|lowest|least|weakest)\s{1,9}(?:to|first))\b",
    re.I,
)
_PLACES = ("first", "second", "third", "fourth")
_PLACE = re.compile(
    rf"\s{{0,9}}(?:phase\s{{1,9}})?(?:is|comes|ranks|stands)?\s{{0,9}}\b({'|'.join(_PLACES)}|last)\b", re.I
)
_JOINED = re.compile(r"[\s>=<‹›≈≥≤≳≲,→:`*\d.)|-]*(?:then|and)?\s*")
_SIGNS = re.compile(r"[>=<‹›≈≥≤≳≲→]|\bthen\b|\d[.)]|\|\s{0,9}\d+\s{0,9}\|")
_CUE = re.compile(
    rf"\b(?:order|ranking|rank(?:s|ed)|sorted|descending|ascending|decreasing|increasing|falling|rising|top|first|has"
    rf"|{_MORE}|{_LESS})\b",
    re.I,
)
"""Words without which a list of the phases says nothing of their order."""
_END = re.compile(r"[.!?]\s")
_ASIDE = re.compile(r"\((?![^()]*\b[AB]\b)[^()]*\)")

_OTHERS = re.compile(rf"\b(?:{_MORE}|{_LESS})\s{{1,9}}({'|'.join(simulator.FEATURE_NAMES)})\b", re.I)
"""A verdict on a feature: on another than the asked one it is a reason at most."""


def winner(answer: str) -> str | None:
    """A or B, as the answer's last verdict says; None where it says neither."""
    text = _ASIDE.sub("", re.sub(r"[*`]|(?<=\b[AB])_+|(?<!_)_{1,9}(?=[AB]\b)", "", answer.strip()))
    said = None
    if _NONE.search(text):
        return None
    for match in _VERDICT.finditer(text):
        run = next(filter(None, (match[f"x{place}"] for place in range(1, 6))))
        less = any(match[f"less{place}"] for place in range(1, 5))
        denied = not match["x5"] and bool(_DENIED.search(match.group()))
        said = _other(run) if less != denied else run
    if said is None and not _TIE.search(text) and (alone := _ALONE.match(text)):
        run = alone.group(1).upper()
        # "A: … B: …" lists the two runs and answers nothing.
        return None if re.search(rf"\b{_other(run)}:", text) else run
    return said


def _other(run: str) -> str:
    return "B" if run == "A" else "A"


def ranking(answer: str) -> dict[str, int]:
    """Each phase's rank, 0 for the largest: the last four that are joined by signs, else as they come.

    Phases with "=" between them share a rank; "≥" and "≳" say which comes first, as ">" does; "<", or "from smallest to
    largest" in front, turns the order around. Without signs, and without a word of order or size, a list of phases
    ranks nothing.
    """
    text = plain(answer)
    found = [(phase, span) for phase, span, denied in all_mentions(text) if denied in (None, "than")]
    if placed := _placed(text, found):
        return placed
    listed = next(filter(None, (_stretch(text, found[i : i + 4]) for i in reversed(range(len(found))))), None)
    if listed is None:
        first: dict[str, tuple[int, int]] = {}
        for phase, span in found:
            first.setdefault(phase, span)
        listed = list(first.items())
    joints = [text[one[1][1] : other[1][0]].strip() for one, other in pairwise(listed)]
    before, after = (text[: listed[0][1][0]], text[listed[-1][1][1] :]) if listed else ("", "")
    sentence = text[len(before) - len(_END.split(before)[-1]) : len(text) - len(after) + len(_END.split(after)[0])]
    if not (_bare(text, listed) or _CUE.search(sentence) or any(map(_SIGNS.search, joints))):
        return {}
    ranks: dict[str, int] = {}
    rank = 0
    for (phase, _), joint in zip(listed, ["", *joints], strict=False):
        rank += bool(ranks) and joint not in ("=", "≈")
        ranks[phase] = rank
    between = "".join(joints)
    falls = any(sign in between for sign in ">›≥≳")
    if any(sign in between for sign in "<‹≤≲") or (
        not falls and (_RISING.search(before) or _RISING_AFTER.match(after))
    ):
        return {phase: rank - place for phase, place in reversed(ranks.items())}
    return ranks


def _placed(text: str, found: list[tuple[str, tuple[int, int]]]) -> dict[str, int]:
    """The ranks where every phase is followed by its place: "spt_cluster is last"; else nothing."""
    places = {phase: match[1].lower() for phase, span in found if (match := _PLACE.match(text, span[1]))}
    if len(places) < 2 or len(places) < len({phase for phase, _ in found}):
        return {}
    return {phase: len(places) - 1 if word == "last" else _PLACES.index(word) for phase, word in places.items()}


def _bare(text: str, listed: list[tuple[str, tuple[int, int]]]) -> bool:
    """Whether the answer is the list and nothing else."""
    return bool(listed) and not re.search(r"\w", text[: listed[0][1][0]] + text[listed[-1][1][1] :])


def _stretch(text: str, four: list[tuple[str, tuple[int, int]]]) -> list[tuple[str, tuple[int, int]]] | None:
    """The four mentions where they are four phases with nothing but signs and "then" between them."""
    if len({phase for phase, _ in four}) < 4:
        return None
    gaps = [text[one[1][1] : other[1][0]] for one, other in pairwise(four)]
    return four if all(_JOINED.fullmatch(gap) for gap in gaps) else None


def _labelled(question: Question, answer: str) -> str:
    """The answer with A and B in place of what tells the two runs apart: their phases, "the run with depth 4"."""
    labels = {str(run.params["phase_type"]): label for run, label in zip(question.runs, "AB", strict=True)}
    text = plain(answer)
    for name in ("system_size", "depth", "bias"):
        values = [str(run.params.get(name)) for run in question.runs]
        setting = rf"\b(?:run|one|circuit) (?:with|at|of) {name.replace('_', '[ _]')}\s{{0,9}}[=:]?\s{{0,9}}"
        for value, label in zip(values, "AB", strict=True) if values[0] != values[1] else ():
            text = re.sub(rf"{setting}{re.escape(value)}(?![\d.]*\d)", label, text, flags=re.I)
    if len(labels) < 2:
        return text
    for phase, (start, end), _ in reversed(all_mentions(text)):
        text = text[:start] + labels.get(phase, phase) + text[end:]
    return text


@grader("ordering")
def ordering(question: Question, answer: str) -> Grade:
    """Pairs by the named winner, rankings by every clear pair; the question said again, and doubts, aside."""
    answer = asserted(question.prompt, answer)
    if question.facts["form"] == "pair":
        wanted = "A" if gap(question, 0, 1) > 0 else "B"
        answer = _OTHERS.sub(lambda match: match[0] if match[1].lower() == question.feature else "", answer)
        said = winner(answer) or winner(_labelled(question, answer))
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
