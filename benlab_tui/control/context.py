"""What a command may do in the console: its events become cards, its text streams, its questions are dialogs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benlab_tui.child_errors import raise_failure
from benlab_tui.errors import Cancelled
from benlab_tui.watch import JobView
from benlab_tui.widgets.job_card import JobCard
from benlab_tui.widgets.turns import ReplyTurn
from simulator.events import Event, Failed, Note, Result

if TYPE_CHECKING:
    from pydantic import BaseModel

    from benlab_tui.screens.sending import Sending

Value = dict[str, Any]


class ConsoleContext:
    """Handed to one run of one command. `screen` is for commands of the console alone."""

    interactive = True
    slash = True

    def __init__(self, screen: Sending, name: str) -> None:
        self.screen = screen
        self.lab = screen.lab
        self.name = name
        self.wrote: list[str] = []
        self._card: JobCard | None = None
        self._turn: ReplyTurn | None = None

    async def emit(self, event: Event) -> None:
        """A note is a line; the rest moves this command's card."""
        if isinstance(event, Note) and self._card is None:
            await self.screen.note(event.text)
            return
        if self._card is None:
            self._card = JobCard(JobView(f"{self.name}-{id(self):x}", self.name))
            await self.screen.show_card(self._card)
        self._card.view.take(event)
        self._card.refresh_view()

    async def write(self, text: str) -> None:
        """Adds to this command's answer."""
        if self._turn is None:
            self._turn = ReplyTurn()
            await self.screen.transcript.add(self._turn)
        self.wrote.append(text)
        self._turn.feed(text)

    async def confirm(self, question: str, default: bool = False) -> bool:
        """Asks in a dialog."""
        return await self.screen.ask(question, default)

    async def job(self, kind: str, params: BaseModel | Mapping[str, Any]) -> Value:
        """The stage in a child process that outlives the console; its card stands here and in the lab pane."""
        values = dict(params) if isinstance(params, Mapping) else params.model_dump(mode="json", exclude_unset=True)
        view = self.screen.jobs.start(kind, values)
        await self.screen.show_job(view)
        try:
            last = await self.screen.jobs.wait(view)
        except asyncio.CancelledError as error:
            raise Cancelled(f"{kind} goes on without this console") from error
        if isinstance(last, Failed):
            raise_failure(last)
        return {**last.value, "job": view.id} if isinstance(last, Result) else {"job": view.id}

    async def finish(self) -> str:
        """Ends the streamed answer; returns its text."""
        if self._turn is not None:
            await self._turn.finish()
        if self._card is not None and self._card.view.state == "running":
            self._card.view.take(Result({}))
            self._card.refresh_view()
        return "".join(self.wrote)

    def quit(self) -> None:
        """Closes the console; jobs go on."""
        self.screen.closing = True
        self.screen.app.exit()

    async def cancel_job(self, job_id: str | None) -> str:
        """Cancels a job (the newest that runs without an id) and says which."""
        return await self.screen.cancel_job(job_id)
