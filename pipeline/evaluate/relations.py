"""Grades a free answer by relations: things that have to stand together in one sentence, and things that may not.

A relation is a list of patterns. It holds if they match near each other in one sentence of prose, in their order (two
patterns: in either order), and nothing right there denies them. Keywords that are merely listed hold no relation, and
an answer that keeps both sides open ("high or low") holds none either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

Relation = Sequence[str]

_GAP = r"[^.!?\n]{0,90}?"
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_CLAUSE = re.compile(r"[.!?;:,]\s|\n+|\b(?:while|whereas|but|although|and so|unlike)\b")
_DENIAL = re.compile(r"\b(?:not|never|neither|nor|no|without|unlike)\b|n['’]t\b", re.I)
_SIDES = "high|low|large|small|larger|smaller|higher|lower|more|less|up|down|true|false|right|wrong|stable|sensitive"
_HEDGE = re.compile(
    rf"\b(?:{_SIDES})\s*(?:or|/|and/or)\s*(?:is |it is |perhaps |maybe )?(?:{_SIDES})\b"
    r"|\b(?:may or may not|might or might not|either way)\b",
    re.I,
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][a-z]+)?", re.I)
_SMALL_TEXT = (
    "a an the of to in on at is are was were be been has have had do does did it its this that these those and or but "
    "if as by with for from where when which who how what you your i my we our they their there then than so can may "
    "not no one each every all both between under into out up about because while over per after before"
)
_SMALL = frozenset(_SMALL_TEXT.split(" "))
_LEAST_SMALL = 0.07
_LIST_WORDS = 8
_NEXT = re.compile(r"\w*\W*(?:(?:and|or)\b\W*)?")
_SEPARATOR = re.compile(r"[,;/|\n]|\band\b|\bor\b", re.I)
_MOST_SEPARATORS = 0.4


@dataclass(frozen=True)
class Grade:
    """Whether an answer is right, and why."""

    right: bool
    reason: str


def grade_relations(answer: str, needs: Sequence[Relation], never: Sequence[Relation]) -> Grade:
    """Return whether `answer` says every relation of `needs` and none of `never`."""
    if not answer.strip():
        return Grade(False, "the answer is empty")
    if is_list_of_words(answer):
        return Grade(False, "the answer lists words and says nothing about them")
    if hedged := _HEDGE.search(answer):
        return Grade(False, f"the answer keeps both sides open: {hedged.group()!r}")
    for relation in never:
        if said := claims(relation, answer):
            return Grade(False, f"says {said[:60]!r}, which is wrong")
    for relation in needs:
        if not holds(relation, answer):
            return Grade(False, f"does not say {' … '.join(relation)[:80]!r}")
    return Grade(True, "says all that is needed")


def holds(relation: Relation, answer: str) -> str:
    """Return the words in which `answer` says the relation, or an empty text."""
    for sentence in _SENTENCE.split(answer):
        for pattern in _orders(tuple(relation)):
            for found in pattern.finditer(sentence):
                if _stands(relation, sentence, found):
                    return found.group()
    return ""


def claims(relation: Relation, answer: str) -> str:
    """Return the words in which one clause says the relation in its own order, or an empty text."""
    pattern = _orders(tuple(relation))[0]
    for clause in _CLAUSE.split(answer):
        for found in pattern.finditer(clause):
            if not _DENIAL.search(clause[max(0, found.start() - 12) : found.end()]):
                return found.group()
    return ""


def is_list_of_words(answer: str) -> bool:
    """Return whether a longer answer is a list: hardly any small words, or a separator after every other word."""
    words = [word.lower() for word in _WORD.findall(answer.replace("_", "")) if word.lower() != "and"]
    if len(words) < _LIST_WORDS:
        return False
    small = sum(word in _SMALL for word in words)
    return small < _LEAST_SMALL * len(words) or len(_SEPARATOR.findall(answer)) > _MOST_SEPARATORS * len(words)


def _stands(relation: Relation, sentence: str, found: re.Match[str]) -> bool:
    """Whether what was found is said in prose and undenied."""
    if len(relation) == 1:
        return True
    if any(_listed_words(part, sentence) > 2 for part in relation):
        return False
    if found.group().count(",") > 2:
        return False
    if any(_DENIAL.search(part.replace("\\b", " ")) for part in relation):
        return True
    return not _DENIAL.search(sentence[max(0, found.start() - 12) : found.end()])


def _listed_words(part: str, sentence: str) -> int:
    """How often two different ways of saying one part of a relation stand side by side, as keywords do."""
    hits = list(re.finditer(part, sentence, re.I))
    return sum(
        one.group().lower() != other.group().lower() and _NEXT.fullmatch(sentence, one.end(), other.start()) is not None
        for one, other in pairwise(hits)
    )


@lru_cache(maxsize=512)
def _orders(relation: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    parts = [f"(?:{part})" for part in relation]
    orders = [parts, parts[::-1]] if len(parts) == 2 else [parts]
    return tuple(re.compile(_GAP.join(order), re.I) for order in orders)
