"""How graders read an answer: without the question said again, doubts, settings and numbers that it denies."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import simulator
from simulator.number_text import NUMBER
from simulator.setting_mentions import AT, strange_setting

LINK = "is|of|at|about|be|will|value|around|roughly|approximately|near|comes|out|as|to|equals|should|would|close"
"""Words that may stand between a feature's name and its number."""
_PIECE = re.compile(r"((?<=[.;!?])\s+|\n+)")
_DOUBT = re.compile(
    r"\beither\b(?=.*\bor\b)|\bwhether\b|\b(?:cannot|can[’']t|could not|couldn[’']t) "
    r"(?:tell|say|decide|rank|order|sort|compare)\b|\border depends\b"
    r"|\bfirst,? run (?:each|the|all|every|both|an?|some)\b"
    r"|\b(?:do not|don[’']t) know\b|\b(?:not sure|unsure|unclear|hard to (?:say|tell))\b",
    re.I,
)
_LEAST_WORDS = 3
"""A shorter piece of the question ("depth 4") may stand in an answer of one's own."""
_ITEM = re.compile(r"^\s{0,9}\d+[.)]\s{1,9}", re.M)
_NAMED = r"\b(?:bias|depth|seed|(?:system[_ ])?size|chain length|shots|n)\b"
_SETTING = re.compile(
    rf"(?:{_NAMED}\s{{0,9}}(?:(?:=|:|of|is)\s{{0,9}})?[-−–]?(?:\d+(?:\.\d+)?|\.\d+)(?![\w.]*\d)|\bsites\s{{0,9}}(?:[=:]\s{{0,9}})?\d+(?![\w.]*\d))"
    rf"(?:\s{{0,9}}(?:,|and)\s{{0,9}}(?={_NAMED}))?",
    re.I,
)
_COUNTED = re.compile(
    rf"{NUMBER.pattern}\s{{0,9}}(?:%|(?:percent|bonds|sites|qubits|layers|spins|steps|times)\b)|±\s{{0,9}}{NUMBER.pattern}",
    re.I,
)
_IN_SITES = re.compile(rf"(?<!with )(?<!over )(?<!chain of )({NUMBER.pattern})\s{{0,9}}sites\b", re.I)
_DENIED = re.compile(rf"(?:\bnot|n[’']t|\bnever(?:\s{{1,9}}\w+)?)\s{{1,9}}{NUMBER.pattern}", re.I)
_TOLD_OF = re.compile(
    rf"\b(?:{'|'.join(simulator.FEATURE_NAMES)}){AT}\s{{0,9}}(?:(?:[:=,]|is|about)\s{{0,9}})*{NUMBER.pattern}", re.I
)
_COMMA = re.compile(r"\b0,(?=\d)")
_MINUS = re.compile(r"\bminus\s{1,9}(?=\d|\.\d)", re.I)


def asserted(prompt: str, answer: str) -> str:
    """The sentences that claim something: not the prompt's own, no questions, no doubts."""
    asked = {_words(piece) for piece in _PIECE.split(prompt)}
    return "".join(piece for piece in _PIECE.split(answer) if not _claims_nothing(piece, asked))


def _claims_nothing(piece: str, asked: set[str]) -> bool:
    said_again = _words(piece) in asked and len(piece.split()) >= _LEAST_WORDS
    return said_again or piece.rstrip().endswith("?") or bool(_DOUBT.search(piece))


def _words(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".?!;: ")


def values_alone(answer: str, feature: str | None = None) -> str:
    """The answer without list marks, settings, counts ("23 bonds", "95 %") and denied numbers; "0,4" as 0.4.

    Of `correlation_range` "14 sites" is a value: sites are its unit.
    """
    answer = _MINUS.sub("-", _COMMA.sub("0.", answer))
    if feature == "correlation_range":
        answer = _IN_SITES.sub(r"\1", answer)
    for pattern in (_ITEM, _SETTING, _COUNTED, _DENIED):
        answer = pattern.sub(" ", answer)
    return answer


def of_these_runs(answer: str, runs: Sequence[Mapping[str, Any]]) -> str:
    """The answer without the numbers that it tells of settings which none of the runs, given by parameters, has.

    They say nothing of what was asked: "zz_long at depth 4: 0.90; zz_long at depth 16: 0.80".
    """

    def kept(told: re.Match[str]) -> str:
        strange = runs and all(strange_setting(told.group(), params) for params in runs)
        return " " if strange else told.group()

    return _TOLD_OF.sub(kept, answer)
