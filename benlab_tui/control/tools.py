"""The tools of the chat model: the experiments, checked, bounded and shown as cards, and the notebook, to read."""

from __future__ import annotations

import asyncio
import json
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import simulator
from pipeline.chat.tool_text import refusal_text, result_text
from pipeline.errors import PipelineError
from simulator import notebook_search
from simulator.errors import SimulatorError
from simulator.events import Failed, Result

if TYPE_CHECKING:
    from pydantic import BaseModel

    from benlab_tui.screens.sending import Sending
    from pipeline.chat import ToolCall

SECONDS = 10.0
"""Compute that the calls of one turn may take together."""

ROUNDS = 4
ASKED_FIRST = {"sweep", "scientist"}


@cache
def schemas() -> list[dict[str, Any]]:
    """Every experiment as a function schema, from its parameter model, and the search of the notebook."""
    experiments = [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": experiment.summary,
                "parameters": experiment.public.model_json_schema(),
            },
        }
        for name, experiment in simulator.EXPERIMENTS.items()
    ]
    return [*experiments, notebook_search.schema()]


class Refused(Exception):
    """A call that cannot be run, with the reason in one sentence."""


def check(call: ToolCall) -> tuple[str, BaseModel]:
    """The tool's name and its checked parameters. Raises Refused."""
    if call.name not in simulator.EXPERIMENTS and call.name != notebook_search.NAME:
        known = ", ".join([*simulator.EXPERIMENTS, notebook_search.NAME])
        raise Refused(f"{call.name[:60]!r} is not a tool: use one of {known}")
    try:
        if call.name == notebook_search.NAME:
            return call.name, simulator.validate(notebook_search.NotebookSearch, call.arguments)
        return call.name, simulator.validate(simulator.EXPERIMENTS[call.name].public, call.arguments)
    except SimulatorError as error:
        raise Refused(str(error)) from error


def question(name: str, params: BaseModel) -> str:
    """What the person is asked before a long run: what the model chose, then what it left at its default."""
    fields = type(params).model_fields
    chosen: list[str] = []
    usual: list[str] = []
    for key, value in params.model_dump(mode="json").items():
        line = f"  {key} = {json.dumps(value, ensure_ascii=False)}"
        (usual if not fields[key].is_required() and getattr(params, key) == fields[key].default else chosen).append(
            line
        )
    parts = [f"ben-lab wants to run {name}. Run it?"]
    parts += ["\n".join(["Chosen by the model:", *chosen])] if chosen else []
    parts += ["\n".join(["Left at the default:", *usual])] if usual else []
    return "\n\n".join(parts)


class ToolTurn:
    """The calls of one turn. After a second refusal, or when its seconds are gone, `spent` is true."""

    def __init__(self, screen: Sending) -> None:
        self._screen = screen
        self._left = SECONDS
        self._refusals = 0
        self._rounds = 0
        self.spent = False

    def schemas(self) -> list[dict[str, Any]]:
        """What the model is offered: nothing where benlab.toml says `[chat] tools = false`."""
        return schemas() if self._screen.lab.config().get("chat", {}).get("tools", True) else []

    async def run(self, text: str, calls: list[ToolCall]) -> list[dict[str, Any]]:
        """Runs the calls; returns the messages that tell the model what came of them."""
        self._rounds += 1
        asked = [{"id": c.id, "function": {"name": c.name, "arguments": c.arguments}} for c in calls]
        messages: list[dict[str, Any]] = [{"role": "assistant", "content": text, "tool_calls": asked}]
        for call in calls:
            content = await self._one(call)
            messages.append({"role": "tool", "content": content, "tool_name": call.name, "tool_call_id": call.id})
        self.spent = self.spent or self._rounds >= ROUNDS
        return messages

    async def _one(self, call: ToolCall) -> str:
        try:
            name, params = check(call)
            if name in ASKED_FIRST and not await self._screen.ask(question(name, params)):
                raise Refused(f"the person did not want {name} to run")
            if isinstance(params, notebook_search.NotebookSearch):
                return await self._look_up(params)
            result = await self._run(name, params)
        except Refused as error:
            self._refusals += 1
            self.spent = self.spent or self._refusals > 1
            await self._screen.note(f"the call of {call.name[:60]} was refused: {error}")
            return refusal_text(str(error))
        await self._screen.show_experiment(result)
        return result_text(result)

    async def _look_up(self, params: notebook_search.NotebookSearch) -> str:
        """Searches the notebook; the person sees the text that the model reads."""
        from pipeline.chat.result_text import result_text as search_text

        def look() -> dict[str, Any]:
            with self._screen.lab.notebook() as notebook:
                return notebook_search.search(notebook, params)

        try:
            found = await asyncio.to_thread(look)
        except (SimulatorError, PipelineError) as error:
            raise Refused(str(error)) from error
        text = search_text(found)
        await self._screen.answer(text, found=[row["result"]["experiment_id"] for row in found["runs"]])
        return text

    async def _run(self, name: str, params: BaseModel) -> dict[str, Any]:
        """The result within what is left of the turn's seconds; what was asked about first has no limit."""
        start = time.monotonic()
        limit = None if name in ASKED_FIRST else max(0.1, self._left)
        try:
            if simulator.EXPERIMENTS[name].quick:
                return await asyncio.wait_for(asyncio.to_thread(self._quick, name, params), limit)
            return await self._child(name, params, limit)
        except TimeoutError:
            self.spent = True
            raise Refused(
                f"{name} took more than the {SECONDS:.0f} s of compute that a turn has: ask for less"
            ) from None
        except (SimulatorError, PipelineError) as error:
            raise Refused(str(error)) from error
        finally:
            if limit is not None:
                self._left -= time.monotonic() - start

    def _quick(self, name: str, params: BaseModel) -> dict[str, Any]:
        from simulator.events import last_result

        with self._screen.lab.notebook() as notebook:
            return last_result(simulator.run(name, params, notebook=notebook))

    async def _child(self, name: str, params: BaseModel, limit: float | None) -> dict[str, Any]:
        screen = self._screen
        view = screen.jobs.start("experiment", {"name": name, "params": params.model_dump(mode="json")})
        await screen.show_job(view)
        try:
            last = await asyncio.wait_for(screen.jobs.wait(view), limit)
        except (TimeoutError, asyncio.CancelledError):
            await screen.jobs.cancel(view.id)
            raise
        if isinstance(last, Result):
            return last.value
        raise Refused(last.error if isinstance(last, Failed) else f"{name} ended without a result")
