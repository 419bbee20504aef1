"""Which numbers of an answer does the simulator contradict?

A number belongs to the last feature named before it (else to the one asked about) and to the last run named before
it, or at once behind it: by its label A or B, or by its phase where the runs are of different phases. It is
contradicted where it lies further than 0.15 of the feature's scale from the simulator's value. A number that stands
in the prompt (a setting, or a fingerprint's value), or that belongs to no feature, is not counted: copying predicts
nothing. It is counted where the prompt has no values and it follows its feature's name at once: then it is no setting.
Nor are settings counted that the answer names with a number of its own ("seed 7"), counts ("23 bonds"), numbers that
it denies, and those that it tells of a depth, size or bias that was not asked about.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import simulator
from pipeline.evaluate.graders.names import PATTERNS
from pipeline.evaluate.graders.numeric import BETWEEN, tolerance
from pipeline.evaluate.question import Question
from pipeline.evaluate.reading import of_these_runs, values_alone
from simulator.number_text import NUMBER, numbers_in, plain_minus


@dataclass(frozen=True)
class Numbers:
    """How many numbers of an answer were checked, and how many the simulator contradicts."""

    checked: int = 0
    contradicted: int = 0


def _scanner() -> re.Pattern[str]:
    features = "|".join(sorted(simulator.FEATURE_NAMES, key=len, reverse=True))
    phases = "|".join(PATTERNS.values())
    return re.compile(
        rf"(?P<feature>\b(?:{features})\b)|(?P<phase>\b(?:{phases})(?![a-z]))|(?P<label>\b[AB]\b)|(?P<number>{NUMBER.pattern})",
        re.IGNORECASE,
    )


def count(question: Question, answer: str) -> Numbers:
    """The answer's numbers against the question's runs; nothing is checked where there are none."""
    if not question.results or "features" not in question.results[0]:
        return Numbers()
    feature, run = question.feature, 0
    given = set(numbers_in(question.prompt))
    shown = question.kind == "phase_identification"
    answer = values_alone(of_these_runs(answer, [item.params for item in question.runs]), question.feature)
    checked = contradicted = 0
    for match in _scanner().finditer(answer):
        if match["feature"]:
            feature = match["feature"].lower()
        elif match["phase"] or match["label"]:
            run = _run_of(question, match.group(), run)
        elif feature and not (
            plain_minus(match["number"]) in given and (shown or not _stated(answer, match.start(), feature))
        ):
            named = _NAMED_AFTER.match(answer, match.end())
            of_run = _run_of(question, named[1], run) if named else run
            truth = float(question.results[of_run]["features"][feature])
            checked += 1
            contradicted += abs(float(plain_minus(match["number"])) - truth) > tolerance(feature)
    return Numbers(checked, contradicted)


_NAMED_AFTER = re.compile(
    rf"\s{{0,9}}(?:\(|(?:in|for|with|at)\s{{1,9}})(?:run\s{{1,9}}|the\s{{1,9}})?\b([AB]\b|(?:{'|'.join(PATTERNS.values())})(?![a-z]))",
    re.I,
)
"""A run that is named behind its number: "0.90 in B", "0.18 (trivial_product)"."""


def _run_of(question: Question, name: str, run: int) -> int:
    """The run that a label or a phase names; `run` where it names none."""
    return (_run_of_label if len(name) == 1 else _run_of_phase)(question, name, run)


def _stated(answer: str, start: int, feature: str) -> bool:
    """Whether the number at `start` follows the feature's name at once."""
    return re.search(rf"\b{feature}{BETWEEN}$", answer[:start], re.I) is not None


def _run_of_phase(question: Question, text: str, run: int) -> int:
    """The one run of that phase; `run` where there is none or more than one."""
    name = next(name for name, pattern in PATTERNS.items() if re.fullmatch(pattern, text, re.I))
    places = [place for place, item in enumerate(question.runs) if item.params["phase_type"] == name]
    return places[0] if len(places) == 1 else run


def _run_of_label(question: Question, label: str, run: int) -> int:
    place = "AB".find(label)
    return place if question.facts.get("form") == "pair" and place >= 0 else run
