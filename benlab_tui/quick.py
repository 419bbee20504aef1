"""Short experiments in a thread of this process: no child to start, the screen stays free."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

import simulator
from benlab_tui.context import Context, Value
from pipeline.errors import PipelineError
from simulator.events import Event, Result


async def run_quick(context: Context, name: str, params: BaseModel) -> Value:
    """Runs the experiment, shows its events and returns its result. Raises simulator.errors.SimulatorError."""
    events = await asyncio.to_thread(_collect, context, name, params)
    for event in events:
        if isinstance(event, Result):
            return event.value
        await context.emit(event)
    raise PipelineError(f"{name} ended without a result: run it again")


def _collect(context: Context, name: str, params: BaseModel) -> list[Event]:
    return list(simulator.run(name, params, notebook=context.lab.notebook()))
