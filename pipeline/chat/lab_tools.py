"""What a chat model may use: the experiments, checked, bounded in time and asked about, and the notebook, to read."""

from __future__ import annotations

import asyncio
import json
import shlex
import time
from collections.abc import AsyncGenerator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import simulator
from pipeline.errors import LabError
from simulator import notebook_search
from simulator.cost import experiment_seconds
from simulator.errors import SimulatorError
from simulator.events import Event, Failed, Result

if TYPE_CHECKING:
    from pydantic import BaseModel

    from pipeline.jobs import Job
    from pipeline.lab import Lab

ASKED_FIRST = frozenset({"sweep", "scientist", "scan"})
"""Experiments that are asked about first, because they may run for minutes and fill the notebook."""

_LONG_SECONDS = 10.0
"""Estimated compute from which a discovery is asked about too."""
_IN_THREAD_SECONDS = 0.5
"""Estimated compute up to which an experiment runs in a thread, which cannot be stopped."""


class Refused(Exception):
    """A call that is not run, with the reason in one sentence."""


class OutOfTime(Refused):
    """A call that took more than is left of its turn's compute."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(f"{name} exceeded the {seconds:g} s compute limit per turn; try a smaller run.")


@cache
def schemas() -> tuple[dict[str, Any], ...]:
    """Return every tool as a function schema, in the order in which the line of tools names them."""
    experiments = (
        {
            "type": "function",
            "function": {
                "name": name,
                "description": experiment.summary,
                "parameters": experiment.public.model_json_schema(),
            },
        }
        for name, experiment in simulator.EXPERIMENTS.items()
    )
    return (*experiments, notebook_search.schema())


def names() -> frozenset[str]:
    """Return the names of all tools."""
    return frozenset(tool["function"]["name"] for tool in schemas())


def offered(lab: Lab) -> list[dict[str, Any]]:
    """Return the tools of a chat in this lab: none if benlab.toml says `[chat] tools = false`."""
    chat = lab.config().get("chat")
    return list(schemas()) if not isinstance(chat, dict) or chat.get("tools", True) else []


def check(name: str, arguments: Mapping[str, Any]) -> BaseModel:
    """Return the tool's checked parameters. Raises Refused."""
    models = {entry.name: entry.public for entry in simulator.EXPERIMENTS.values()}
    models[notebook_search.NAME] = notebook_search.NotebookSearch
    if name not in models:
        raise Refused(f"{name[:60]!r} is not a tool: use one of {', '.join(models)}")
    try:
        return simulator.validate(models[name], arguments)
    except SimulatorError as error:
        raise Refused(str(error)) from error


def call_schema(name: str) -> dict[str, Any]:
    """Return the JSON schema of a call of that tool; of any tool if there is none of that name."""
    functions = [tool["function"] for tool in schemas()]
    chosen = [function for function in functions if function["name"] == name] or functions
    options = [
        {
            "type": "object",
            "properties": {"name": {"const": function["name"]}, "arguments": _inlined(function["parameters"])},
            "required": ["name", "arguments"],
        }
        for function in chosen
    ]
    return options[0] if len(options) == 1 else {"anyOf": options}


def _inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without titles, texts and examples, which a grammar does not need."""
    dropped = ("title", "description", "examples", "unit", "default")
    cleaned: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            cleaned[key] = {name: _inlined(known) for name, known in value.items()}
        elif key not in dropped:
            cleaned[key] = _inlined(value) if isinstance(value, Mapping) else value
    return cleaned


def is_asked_first(name: str, params: BaseModel) -> bool:
    """Return whether the person is asked before this runs."""
    return name in ASKED_FIRST or (name == "discovery" and experiment_seconds(params) > _LONG_SECONDS)


def question(name: str, params: BaseModel) -> str:
    """Return what the person is asked before a long run: what the model chose, then what it left at its default."""
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


def command_line(name: str, arguments: Mapping[str, Any]) -> str:
    """Return the command that runs a call by hand."""
    words = [f"{_word(key)}={_word(value)}" for key, value in arguments.items()]
    return " ".join(["benlab notebook" if name == notebook_search.NAME else f"benlab experiment {name}", *words])


def _word(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return shlex.quote(text)


async def run(lab: Lab, name: str, params: BaseModel, seconds: float | None) -> AsyncGenerator[Job | dict[str, Any]]:
    """Run a checked call: the job first if it needs a process of its own, then the result.

    A job ends with this generator, at the latest after `seconds`. Raises Refused and TimeoutError.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        if name == notebook_search.NAME or _is_short(name, params):
            yield await asyncio.wait_for(asyncio.to_thread(_in_thread, lab, name, params), seconds)
            return
        from pipeline import jobs

        job = jobs.start(lab, "experiment", {"name": name, "params": params.model_dump(mode="json")})
        try:
            yield job
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            last = await asyncio.wait_for(_last_event(job), left)
        finally:
            if job.alive():
                await jobs.cancel(job)
        if not isinstance(last, Result):
            raise Refused(last.error if isinstance(last, Failed) else f"{name} ended without a result")
        yield last.value
    except (SimulatorError, LabError) as error:
        raise Refused(str(error)) from error


async def _last_event(job: Job) -> Event | None:
    from pipeline import jobs

    last = None
    async for event in jobs.follow(job):
        last = event
    return last


def _in_thread(lab: Lab, name: str, params: BaseModel) -> dict[str, Any]:
    from simulator.events import last_result

    with lab.notebook() as notebook:
        if isinstance(params, notebook_search.NotebookSearch):
            return notebook_search.search(notebook, params)
        return last_result(simulator.run(name, params, notebook=notebook))


def _is_short(name: str, params: BaseModel) -> bool:
    return simulator.EXPERIMENTS[name].quick and experiment_seconds(params) <= _IN_THREAD_SECONDS
