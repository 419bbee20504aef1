"""One conversation with a model that may run experiments: the same for the console, the command line and the API.

`Conversation.answer` is a generator of events, with no screen and no callbacks. Its limits for one turn: 10 s of
compute in all, four rounds of calls, two refusals, and no call twice. What may run for minutes is asked about first.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.chat import lab_tools
from pipeline.chat.events import ChatOptions, Delta, Done, ToolCall
from pipeline.chat.history import History, runs_of
from pipeline.chat.lab_tools import OutOfTime, Refused
from pipeline.chat.number_check import MOST_CHECKS, Check, Scanner, call_in_words
from pipeline.chat.result_text import refusal_text
from pipeline.chat.tools import read_call

if TYPE_CHECKING:
    from pydantic import BaseModel

    from pipeline.chat.open import ChatEngine
    from pipeline.jobs import Job
    from pipeline.lab import Lab


SECONDS = 10.0
"""Compute that the calls of one turn may take together."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the calls of one turn may take together: seconds of compute, rounds, and refusals before it ends."""

    seconds: float = field(default_factory=lambda: SECONDS)
    rounds: int = 4
    refusals: int = 2


@dataclass(frozen=True, slots=True)
class AskFirst:
    """A long run waits for consent: `asend(True)` runs it, anything else refuses it."""

    name: str
    params: dict[str, Any]
    question: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A call begins; `job` is its child process, if it needs one."""

    name: str
    params: dict[str, Any]
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class ToolRan:
    """A call has run: the whole result, and the text of it that the model reads."""

    call: ToolCall
    params: dict[str, Any]
    result: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class ToolRefused:
    """A call was not run, and why."""

    call: ToolCall
    reason: str


@dataclass(frozen=True, slots=True)
class NumberChecked:
    """A number of the answer that is on its way."""

    check: Check


@dataclass(frozen=True, slots=True)
class Said:
    """One answer of the model is over: `calls` follow it if there are any."""

    text: str
    calls: list[ToolCall]
    checks: list[Check]
    done: Done | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The turn is over: its last words, their checks, the runs that it cites, and a command if nothing was measured."""

    text: str
    checks: list[Check]
    done: Done | None
    seconds: float
    runs: list[str] = field(default_factory=list)
    proposal: str = ""


TurnEvent = Delta | AskFirst | ToolStarted | ToolRan | ToolRefused | NumberChecked | Said | Answered


class Conversation:
    """One chat with an engine; `history` is what it holds. `allow` names tools that run without being asked about."""

    def __init__(
        self,
        engine: ChatEngine,
        lab: Lab,
        *,
        tools: bool = True,
        allow: Collection[str] = (),
        limits: Limits | None = None,
    ) -> None:
        self.engine = engine
        self.lab = lab
        self.allow = frozenset(allow)
        self.limits = limits or Limits()
        self.history = History()
        self._tools = lab_tools.offered(lab) if tools else []

    async def ask(self, question: str, options: ChatOptions | None = None) -> AsyncGenerator[TurnEvent, Any]:
        """Append a question and answer it, as `answer` does."""
        self.history.add("user", question)
        events = self.answer(options)
        async with aclosing(events):
            reply: Any = None
            while True:
                try:
                    event = await events.asend(reply)
                except StopAsyncIteration:
                    return
                reply = yield event

    async def answer(self, options: ChatOptions | None = None) -> AsyncGenerator[TurnEvent, Any]:
        """Answer the last message, calls and all. Raises ChatError; closing it stops everything it started."""
        started = time.perf_counter()
        turn = _Turn(self.limits)
        while True:
            said = Said("", [], [], None)
            tools = [] if turn.over else self._tools
            async with aclosing(self._say(tools, options)) as events:
                async for event in events:
                    if isinstance(event, Said):
                        said = event
                    yield event
            self.history.add_calls(said.text, said.calls)
            if not said.calls or turn.over:
                break
            turn.rounds += 1
            for call in said.calls:
                running = self._call(call, turn)
                async with aclosing(running):
                    reply: Any = None
                    while True:
                        try:
                            step = await running.asend(reply)
                        except StopAsyncIteration:
                            break
                        reply = yield step
            if turn.stopped:
                break
        text, proposal = said.text or turn.last_refusal, self._proposal(said.checks)
        yield Answered(
            text, said.checks, said.done, time.perf_counter() - started, self._cited(turn, said.checks), proposal
        )

    async def _say(
        self, tools: list[dict[str, Any]], options: ChatOptions | None
    ) -> AsyncGenerator[Delta | NumberChecked | Said, None]:
        """One answer of the engine, its numbers checked as they come."""
        scanner = Scanner(await asyncio.to_thread(self.history.known))
        parts: list[str] = []
        calls: list[ToolCall] = []
        checks: list[Check] = []
        done: Done | None = None
        async with aclosing(
            self.engine.chat(self.history.sent(self.engine.context_length), tools=tools or None, options=options)
        ) as events:
            async for event in events:
                if isinstance(event, Delta):
                    parts.append(event.text)
                    yield event
                    for check in scanner.feed(event.text):
                        checks.append(check)
                        yield NumberChecked(check)
                elif isinstance(event, ToolCall):
                    calls.append(event)
                else:
                    done = event
        for check in scanner.end():
            checks.append(check)
            yield NumberChecked(check)
        yield Said("".join(parts).strip("\n"), calls, list(dict.fromkeys(checks))[:MOST_CHECKS], done)

    async def _call(
        self, call: ToolCall, turn: _Turn
    ) -> AsyncGenerator[AskFirst | ToolStarted | ToolRan | ToolRefused, Any]:
        """Run one call, or refuse it; either way its message follows."""
        try:
            call, params = await self._checked(call)
            values = params.model_dump(mode="json")
            turn.refuse_repeated(call.name, values)
            asked = lab_tools.is_asked_first(call.name, params) and call.name not in self.allow
            if asked and (yield AskFirst(call.name, values, lab_tools.question(call.name, params))) is not True:
                raise Refused(f"the person did not want {call.name} to run")
            limited = not lab_tools.is_asked_first(call.name, params)
            result: dict[str, Any] = {}
            async with aclosing(self._run(call.name, params, turn, limited)) as steps:
                async for step in steps:
                    if isinstance(step, ToolStarted):
                        yield step
                    else:
                        result = step
        except Refused as error:
            turn.refused(error)
            self.history.add_result(refusal_text(str(error)), call)
            yield ToolRefused(call, str(error))
            return
        text = self.history.add_run(result, call)
        turn.cited += [str(run.get("experiment_id", "")) for run in runs_of(result)]
        yield ToolRan(call, values, result, text)

    async def _checked(self, call: ToolCall) -> tuple[ToolCall, BaseModel]:
        """The call with its parameters; one that is wrong is asked for once more under its schema. Raises Refused."""
        try:
            return call, lab_tools.check(call.name, call.arguments)
        except Refused:
            again = await self._once_more(call)
            if again is None:
                raise
            params = lab_tools.check(again.name, again.arguments)
            self.history.replace_call(again)
            return again, params

    async def _once_more(self, call: ToolCall) -> ToolCall | None:
        """The call decoded under its schema, on an engine that does so by `format`; None on others."""
        if not getattr(self.engine, "takes_format", False):
            return None
        options = ChatOptions(format=lab_tools.call_schema(call.name), max_tokens=400)
        messages = self.history.sent(self.engine.context_length)
        while messages and messages[-1]["role"] != "user":
            messages.pop()
        async with aclosing(self.engine.chat(messages, options=options)) as events:
            parts = [event.text async for event in events if isinstance(event, Delta)]
        try:
            found = read_call(json.loads("".join(parts)))
        except ValueError:
            return None
        return ToolCall(call.id, *found) if found else None

    async def _run(
        self, name: str, params: BaseModel, turn: _Turn, limited: bool
    ) -> AsyncGenerator[ToolStarted | dict[str, Any], None]:
        """The call's start and its result, within what is left of the turn's seconds. Raises Refused."""
        if limited and turn.left <= 0:
            raise OutOfTime(name, self.limits.seconds)
        start = time.monotonic()
        values = params.model_dump(mode="json")
        try:
            async with aclosing(lab_tools.run(self.lab, name, params, turn.left if limited else None)) as steps:
                async for step in steps:
                    yield step if isinstance(step, dict) else ToolStarted(name, values, step)
        except TimeoutError:
            raise OutOfTime(name, self.limits.seconds) from None
        finally:
            if limited:
                turn.left -= time.monotonic() - start

    def _cited(self, turn: _Turn, checks: Sequence[Check]) -> list[str]:
        """The runs of this turn; without one, those of the chat whose numbers the answer gives."""
        known = {str(run.get("experiment_id")) for run in self.history.runs}
        told = dict.fromkeys(check.experiment_id for check in checks if check.experiment_id in known)
        return turn.cited or list(told)

    def _proposal(self, checks: Sequence[Check]) -> str:
        """The command that measures what an answer told without a run; "" if there was one, or nothing to measure."""
        if self.history.has_results or all(check.right for check in checks):
            return ""
        call = call_in_words(self.history.question)
        return lab_tools.command_line(*call) if call else "benlab experiment run_phase phase_type=spt_cluster"


class _Turn:
    """What the calls of one turn have used."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seen: set[str] = set()
        self._refusals = 0
        self._out_of_time = False
        self.left = limits.seconds
        self.rounds = 0
        self.last_refusal = ""
        self.cited: list[str] = []

    @property
    def over(self) -> bool:
        """Whether no more calls are taken: the model then answers with what it has."""
        return self.rounds >= self._limits.rounds or self.left <= 0

    @property
    def stopped(self) -> bool:
        """Whether the turn ends without another answer."""
        return self._refusals >= self._limits.refusals or self._out_of_time

    def refused(self, reason: Refused) -> None:
        """Count a refusal."""
        self._refusals += 1
        self._out_of_time = isinstance(reason, OutOfTime)
        self.last_refusal = str(reason)

    def refuse_repeated(self, name: str, values: Mapping[str, Any]) -> None:
        """Raise Refused for a call that this turn has seen."""
        key = json.dumps([name, values], sort_keys=True)
        if key in self._seen:
            raise Refused(f"{name} ran with these settings in this turn already: explain its result")
        self._seen.add(key)
