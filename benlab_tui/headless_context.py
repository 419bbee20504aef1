"""The context of a command without a screen."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from benlab_tui.child_errors import raise_failure
from benlab_tui.errors import Cancelled, Declined
from benlab_tui.terminal import err, out, out_event
from benlab_tui.text import inert, one_line
from pipeline import jobs
from pipeline.lab import Lab
from simulator.events import Event, Failed, Metric, Note, Progress, Result

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

Value = dict[str, Any]

_QUIET = 20.0
"""Seconds: without a terminal a line a stage, and one more each time this long has passed."""


class HeadlessContext:
    """Writes events as JSON lines on stdout, or as bars and lines on stderr."""

    def __init__(self, lab: Lab, *, as_json: bool, yes: bool) -> None:
        self.lab = lab
        self.as_json = as_json
        self.yes = yes
        self.interactive = sys.stdin.isatty() and not as_json
        self.wrote = False
        self._line_open = False
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._stage = ""
        self._said = 0.0

    async def emit(self, event: Event) -> None:
        """One JSON line, or a bar's new state."""
        if self.as_json:
            out_event(event)
        elif isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, Metric):
            self._note("  ".join(f"{name} {value:.4g}" for name, value in event.values.items()), self._stage)
        elif isinstance(event, Note):
            self._line(event.text)

    async def write(self, text: str) -> None:
        """Streams an answer to stdout; in JSON it stands in the result alone."""
        if not self.as_json:
            self._close_bars()
            out(text)
            self.wrote = True
            self._line_open = not text.endswith("\n") if text else self._line_open

    async def confirm(self, question: str, default: bool = False) -> bool:
        """Asks on the terminal; without one, the default. Raises Declined where --yes would be needed."""
        if self.yes:
            return True
        if not self.interactive:
            if default:
                return True
            raise Declined(f"{question} Nobody can answer here: give --yes to go on")
        self.close()
        err(f"{question} [{'Y/n' if default else 'y/N'}] ")
        answer = (await asyncio.to_thread(sys.stdin.readline)).strip().lower()
        return default if not answer else answer in ("y", "yes")

    async def job(self, kind: str, params: BaseModel | Mapping[str, Any]) -> Value:
        """The stage in a child process; a cancel of this task ends the child too."""
        values = params.model_dump(mode="json", exclude_unset=True) if isinstance(params, BaseModel) else dict(params)
        job = jobs.start(self.lab, kind, values)
        try:
            async for event in jobs.follow(job):
                if isinstance(event, Result):
                    return {**event.value, "job": job.id}
                if isinstance(event, Failed):
                    raise_failure(event)
                await self.emit(event)
        except asyncio.CancelledError as error:
            await jobs.cancel(job)
            raise Cancelled(f"{kind} was cancelled") from error
        finally:
            self.close()
        raise Cancelled(f"{kind} was cancelled")

    def close(self) -> None:
        """Take the bars off the screen and end the answer's last line, so that an error starts on its own."""
        if self._line_open:
            out("\n")
            self._line_open = False
        self._close_bars()

    def _close_bars(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars, self._tasks = None, {}

    def _progress(self, event: Progress) -> None:
        if not sys.stderr.isatty():
            if event.stage != self._stage or time.monotonic() - self._said > _QUIET:
                count = f" {event.done:g} of {event.total:g}" if event.total else ""
                self._line(f"{event.stage}{count} {event.note}".rstrip())
                self._said = time.monotonic()
            self._stage = event.stage
            return
        self._stage = event.stage
        bars = self._open_bars()
        if event.stage not in self._tasks:
            self._tasks[event.stage] = bars.add_task(one_line(event.stage), total=event.total)
        bars.update(
            self._tasks[event.stage],
            completed=event.done,
            total=event.total,
            description=one_line(event.stage),
            note=one_line(event.note, 200),
        )

    def _note(self, text: str, stage: str) -> None:
        if self._bars is not None and stage in self._tasks:
            self._bars.update(self._tasks[stage], note=one_line(text, 200))

    def _line(self, text: str) -> None:
        if self._bars is not None:
            self._bars.console.print(inert(text), markup=False, highlight=False)
        else:
            err(text + "\n")

    def _open_bars(self) -> Bars:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            columns = (
                TextColumn("{task.description:>12}", markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}", markup=False),
            )
            self._bars = Bars(*columns, console=Console(stderr=True))
            self._bars.start()
        return self._bars
