"""Grades a played turn: calls, silence, numbers, direction, and what was asked for in words.

Every check is a yes or no of its own, and a turn is right if all of its checks are. None of them can be passed by
saying everything: numbers have to be the conversation's and stand at their own quantity, a direction said both ways is
none, a copy of the tool's message is no answer, and relations have negatives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.chat.known_numbers import equals
from pipeline.chat.number_check import scan
from pipeline.data.claims import quantity
from pipeline.evaluate.conversation.direction import direction_of
from pipeline.evaluate.conversation.play import FIRST, MARK, SECOND, Played
from pipeline.evaluate.conversation.results import Results
from pipeline.evaluate.conversation.script import Dialogue
from pipeline.evaluate.relations import grade_relations, is_list_of_words
from simulator.number_text import numbers_in

_COPIED_SHARE = 0.6
_COPIED_NUMBERS = 8
"""An answer with this many of a tool message's numbers, and this share of them, is a copy."""
_COPIED_WORDS = 14
_LOOP_WORDS, _LOOPS = 6, 3
_THOUSANDS = re.compile(r"(?<=\d)[,’'](?=\d{3}\b)")
_ZERO = re.compile(r"\b(?:zero|vanish\w*|none|no TRI)\b", re.I)


@dataclass(frozen=True)
class TurnGrade:
    """The checks of one turn by name, and what was wrong."""

    checks: Mapping[str, bool]
    reasons: Mapping[str, str]

    @property
    def right(self) -> bool:
        """Whether every check holds, with calls decoded freely."""
        return all(ok for name, ok in self.checks.items() if name != "call_under_grammar")

    @property
    def right_under_grammar(self) -> bool:
        """Whether every check holds, with calls decoded under their grammar."""
        return all(ok for name, ok in self.checks.items() if name != "call")


def grade_dialogue(dialogue: Dialogue, played: Sequence[Played], results: Results) -> list[TurnGrade]:
    """Return the grade of every turn."""
    return [grade_turn(dialogue, turn, results) for turn in played]


def grade_turn(dialogue: Dialogue, played: Played, results: Results) -> TurnGrade:
    """Return the checks that the turn calls for."""
    turn, answer = played.turn, played.answer
    reasons: dict[str, str] = {}
    if turn.calls:
        reasons["call"] = "" if played.calls_right else f"called {' '.join(played.raw[0].split())[:120]!r}"
        reasons["call_under_grammar"] = "" if played.calls_right_under_grammar else "wrong under the grammar, too"
    else:
        reasons["silent"] = "called a tool" if played.called or MARK in " ".join(played.raw) else ""
    if not turn.silent_result:
        reasons["answers"] = _empty_or_endless(answer, turn.text)
        if not turn.prose:
            reasons["numbers"] = _strange_number(played)
            reasons["own_words"] = _copied(played)
        reasons |= _asked_for(played, results)
    return TurnGrade({name: not why for name, why in reasons.items()}, {n: why for n, why in reasons.items() if why})


def _asked_for(played: Played, results: Results) -> dict[str, str]:
    """What the turn's own expectations say, by check."""
    turn, answer, found = played.turn, played.answer, {}
    if turn.value:
        run, path = turn.value
        result = results.of(run)
        truth = quantity(result, path)
        zero = truth == 0 and _ZERO.search(answer)
        given = zero or any(equals(text, float(truth)) for text in _numbers(answer))
        found["value"] = "" if given else f"does not give {path} {truth}"
    elif turn.calls:
        found["value"] = "" if _measured(played) else "gives no number of the result"
    if turn.shift:
        wanted = "up" if results.gap(turn.shift) > 0 else "down"
        said = direction_of(answer, turn.shift.feature)
        found["direction"] = "" if said == wanted else f"says {said or 'no direction'}, and it went {wanted}"
    if turn.larger:
        wanted = SECOND if results.gap(turn.larger) > 0 else FIRST
        found["direction"] = "" if played.chosen == wanted else f"chose {played.chosen!r}, and it is {wanted}"
    if turn.bound is not None:
        named = any(float(text) == turn.bound for text in _numbers(answer))
        found["bound"] = "" if named else f"does not name the bound {turn.bound:g}"
    if turn.command:
        found["command"] = "" if _names_command(answer, turn.command) else f"does not name the command {turn.command}"
    if turn.needs:
        grade = grade_relations(answer, turn.needs, turn.never)
        found["says"] = "" if grade.right else grade.reason
    return found


def _numbers(text: str) -> list[str]:
    return numbers_in(_THOUSANDS.sub("", text))


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _empty_or_endless(answer: str, said: str) -> str:
    words = answer.lower().split()
    if not words:
        return "says nothing"
    if len(words) > 2 and _plain(answer) in _plain(said):
        return "repeats the person"
    if is_list_of_words(re.sub(r"[^\w\s'’-]{0,20}\d[\d.]*", " ", answer)) and not re.search(r"```|def |\(", answer):
        return "lists words"
    seen: dict[tuple[str, ...], int] = {}
    for place in range(len(words) - _LOOP_WORDS + 1):
        part = tuple(words[place : place + _LOOP_WORDS])
        seen[part] = seen.get(part, 0) + 1
        if seen[part] >= _LOOPS:
            return "repeats itself without an end"
    return ""


def _strange_number(played: Played) -> str:
    """A number that stands nowhere in the conversation, or at another quantity than its own; else an empty text."""
    known = replace(played.known, said=(*played.known.said, *played.turn.bounds), about_lab=True)
    wrong = next((check for check in scan(_THOUSANDS.sub("", played.answer), known) if not check.right), None)
    if wrong is None:
        return ""
    return f"{wrong.quantity} {wrong.text}: " + ("from nowhere" if wrong.value is None else f"it is {wrong.value:g}")


def _measured(played: Played) -> bool:
    """Whether the answer gives a number of the turn's results that is not a setting, or the phase that was read."""
    turn = played.turn
    new = played.results[-len(turn.calls) :]
    texts = played.tool_messages[-len(turn.calls) :]
    if any(result["experiment"] == "classify" for result in new):
        return any(str(result["phase_type"]).split("_")[0] in played.answer.lower() for result in new)
    measured = {text for message in texts for text in numbers_in(message.partition("\n")[2])}
    settings = {text for message in texts for text in numbers_in(message.partition("\n")[0])} - {"0", "1"}
    given = _numbers(played.answer)
    fresh = [text for text in given if text not in settings]
    return any(equals(text, float(value)) for text in fresh for value in measured) or (
        "0" in measured and bool(_ZERO.search(played.answer))
    )


def _copied(played: Played) -> str:
    """Whether the answer repeats most of a tool message."""
    answer = played.answer
    words = answer.split()
    given = set(_numbers(answer))
    for message in played.tool_messages:
        shown = set(numbers_in(message))
        same = len(shown & given)
        if len(shown) >= _COPIED_NUMBERS and same >= _COPIED_NUMBERS and same > _COPIED_SHARE * len(shown):
            return "copies the tool's message"
        parts = (" ".join(words[i : i + _COPIED_WORDS]) for i in range(len(words) - _COPIED_WORDS + 1))
        if played.turn.shift and any(part in " ".join(message.split()) for part in parts):
            return "copies the tool's message"
    return ""


def _names_command(answer: str, experiment: str) -> bool:
    """Whether the answer names the command with which a person runs the experiment."""
    return re.search(rf"(?:/|\bbenlab |\bcommand\b[^.]*?)(?:experiment )?{experiment}\b", answer, re.I) is not None
