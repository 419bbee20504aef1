"""What a command may do: the same for the console and for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import BaseModel

from pipeline.lab import Lab
from simulator.events import Event

Value = dict[str, Any]


class Context(Protocol):
    """Handed to every command. `interactive` tells whether a person can answer questions."""

    lab: Lab
    interactive: bool

    async def emit(self, event: Event) -> None:
        """Shows one event: a line in the terminal or in `--json`, a card in the console."""

    async def write(self, text: str) -> None:
        """Adds text to the answer as it streams."""

    async def confirm(self, question: str, default: bool = False) -> bool:
        """Asks yes or no; where no person can answer, `default`, or yes under `--yes`."""

    async def job(self, kind: str, params: BaseModel | Mapping[str, Any]) -> Value:
        """Runs a stage in a child process, shows its events, and returns its result.

        Raises ConsoleError's Cancelled, or pipeline.errors.PipelineError with the child's own sentence.
        """


class ConsoleActions(Protocol):
    """What commands of the console alone may ask of it; `Context` in the console has these too."""

    def quit(self) -> None:
        """Closes the console; jobs go on."""

    async def cancel_job(self, job_id: str | None) -> str:
        """Cancels a job (the newest that runs without an id) and says which."""
