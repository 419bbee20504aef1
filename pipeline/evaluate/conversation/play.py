"""Plays a dialogue with a model, with tools that run for real.

Every turn is graded on a right past: if a call is wrong or missing, the right one takes its place in the history before
the model goes on. So a wrong call costs its own turn and not all that follow, and every model is asked for the same
number of things. A dialogue without a mistake is played exactly as a person would see it.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from pipeline.chat import lab_tools
from pipeline.chat.call_grammar import call_grammar
from pipeline.chat.events import Delta, ToolCall
from pipeline.chat.history import History
from pipeline.chat.known_numbers import Known
from pipeline.chat.tool_text import CALL
from pipeline.chat.tools import ToolReader
from pipeline.data.claims import Run
from pipeline.evaluate.conversation.results import Result, Results, full_key
from pipeline.evaluate.conversation.script import Dialogue, Turn
from pipeline.evaluate.conversation.talker import Reply, Talker

MARK = CALL
CALL_TOKENS, RESULT_TOKENS, ANSWER_TOKENS = 72, 128, 96
"""The most tokens of one call, of an answer about results, and of any other answer."""
FIRST, SECOND = "first", "second"
_SPEECHLESS = "…"


@dataclass
class Played:
    """One turn as it went: the person's words, the calls, the answer, and what the conversation holds by then.

    `calls_right` is by free decoding, `calls_right_under_grammar` after a malformed call was decoded again under the
    grammar of its schema. `chosen` is the verdict under a grammar, if one was asked for.
    """

    turn: Turn
    answer: str = ""
    raw: list[str] = field(default_factory=list)
    ended: bool = True
    called: bool = False
    calls_right: bool = True
    calls_right_under_grammar: bool = True
    chosen: str = ""
    results: tuple[Result, ...] = ()
    tool_messages: tuple[str, ...] = ()
    known: Known = field(default_factory=Known)


def play(dialogue: Dialogue, talker: Talker, results: Results, system: str, grammar: str = "") -> list[Played]:
    """Return every turn as it was played. `grammar` is that of a call, for malformed ones. Raises ChatError."""
    past = History()
    past.add("system", system)
    return [_turn(turn, dialogue.tools, talker, results, past, grammar) for turn in dialogue.turns]


def _turn(turn: Turn, tools: bool, talker: Talker, results: Results, past: History, grammar: str) -> Played:
    past.add("user", turn.text)
    played = Played(turn)
    waiting = list(turn.calls)
    while True:
        most = CALL_TOKENS * len(waiting) or (RESULT_TOKENS if past.runs else ANSWER_TOKENS)
        reply = talker.reply(past.messages, tools=tools, most=most)
        played.raw.append(reply.text)
        text, calls = read(reply.text)
        if not turn.calls or (not waiting and not calls):
            played.called = bool(calls) or MARK in reply.text
            break
        free, played.called = _matching(calls, waiting), True
        under_grammar = free
        if free is None and grammar and MARK in reply.text and not well_formed(reply.text):
            again = talker.reply(past.messages, tools=tools, most=2 * most, grammar=grammar)
            played.raw.append(again.text)
            under_grammar = _matching(read(again.text)[1], waiting)
        played.calls_right &= free is not None
        played.calls_right_under_grammar &= under_grammar is not None
        taken = free or under_grammar or list(waiting)
        if not waiting:  # a call too many: what was said beside it is the answer
            break
        if turn.silent_result:
            return played
        _run(taken, results, past)
        waiting = _without(waiting, taken)
    _finish(played, reply, text, talker, past)
    return played


def _finish(played: Played, reply: Reply, text: str, talker: Talker, past: History) -> None:
    """Takes the reply as the turn's answer, and asks for the verdict if there is one."""
    # The last word of an answer that was cut may be half a number.
    played.answer, played.ended = text if reply.ended else text.rpartition(" ")[0], reply.ended
    if played.turn.larger:
        played.chosen = talker.choose(past.messages, text, "\nThe larger value is in the", [FIRST, SECOND])
    past.add("assistant", text or _SPEECHLESS)
    played.results = tuple(past.runs)
    played.tool_messages = tuple(message["content"] for message in past.messages if message["role"] == "tool")
    said = [message["content"] for message in past.messages if message["role"] == "user"]
    played.known = Known.of(past.runs, said, played.tool_messages, trusted=True)


def read(text: str) -> tuple[str, list[ToolCall]]:
    """Return what a reply says, without its calls, and the calls."""
    reader = ToolReader()
    events = [*reader.feed(text), *reader.end()]
    said = "".join(event.text for event in events if isinstance(event, Delta))
    lines = [line for line in said.splitlines() if not line.strip().startswith(MARK)]
    return "\n".join(lines).strip(), [event for event in events if isinstance(event, ToolCall)]


def well_formed(text: str) -> bool:
    """Return whether every call of a reply can be read and validates."""
    calls = read(text)[1]
    return len(calls) == text.count(MARK) and all(_run_of(call) is not None for call in calls)


def _matching(calls: Sequence[ToolCall], waiting: Sequence[Run]) -> list[Run] | None:
    """The runs that were called, if each of them is waited for; None if one is not, or there is none."""
    called = [_run_of(call) for call in calls]
    wanted = Counter(full_key(run) for run in waiting)
    runs = [run for run in called if run is not None]
    asked = Counter(full_key(run) for run in runs)
    return runs if runs and len(runs) == len(called) and asked <= wanted else None


def _run_of(call: ToolCall) -> Run | None:
    """The run that a call names; None if it does not validate."""
    try:
        lab_tools.check(call.name, call.arguments)
    except lab_tools.Refused:
        return None
    return Run(call.name, dict(call.arguments))


def _without(waiting: Sequence[Run], taken: Sequence[Run]) -> list[Run]:
    gone = Counter(full_key(run) for run in taken)
    left = []
    for run in waiting:
        key = full_key(run)
        if gone[key]:
            gone[key] -= 1
        else:
            left.append(run)
    return left


def _run(runs: Sequence[Run], results: Results, past: History) -> None:
    """Makes the runs and puts their calls and results into the history."""
    calls = [
        ToolCall(f"call-{uuid.uuid5(uuid.NAMESPACE_OID, run.key).hex[:8]}", run.experiment, dict(run.params))
        for run in runs
    ]
    past.add_calls("", calls)
    for call, run in zip(calls, runs, strict=True):
        past.add_run(cast("dict[str, Any]", results.of(run)), call)


@cache
def grammar_of_calls() -> str:
    """Return the grammar of a call of any tool (GBNF)."""
    return call_grammar(lab_tools.schemas())
