"""Runs experiments for the server: a bounded number at once, each for a bounded time.

Short ones run in a thread. What may take longer runs in a child process, for only a
process can be stopped: when its time is up, or when the reader of a stream goes away.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from pydantic import BaseModel

from pipeline.lab import Lab
from simulator.cost import experiment_seconds
from simulator.errors import BadParameter, NotebookError, SimulatorError, UnknownExperiment
from simulator.events import Event, Failed, Result, Value, from_line, last_result
from simulator.python_child import command, environment

_SHORT = frozenset(["run_phase", "tri", "echo", "replay_drift", "discovery"])
# Estimated CPU seconds that a thread may take on.
_THREAD_SECONDS = 1.0
_LINE_LIMIT = 2**26
_QUEUE = 64
_KINDS: dict[str, type[SimulatorError]] = {
    "BadParameter": BadParameter,
    "UnknownExperiment": UnknownExperiment,
    "NotebookError": NotebookError,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Experiments at once, how many more may wait and for how many seconds, and seconds for an answer and a stream."""

    at_once: int = 4
    waiting: int = 32
    waiting_seconds: float = 60.0
    answer_seconds: float = 60.0
    stream_seconds: float = 3600.0


class Busy(Exception):
    """Too many experiments are waiting already."""


class TooLong(Exception):
    """An experiment ran out of its time."""


class Work:
    """The server's experiments, kept in the lab's notebook."""

    def __init__(self, lab: Lab, limits: Limits) -> None:
        self.lab = lab
        self.limits = limits
        self.running = 0
        self.waiting = 0
        self._slots = asyncio.Semaphore(limits.at_once)

    async def answer(self, name: str, params: BaseModel) -> Value:
        """The experiment's result. Raises Busy, TooLong or a SimulatorError."""
        async with self._slot() as slot:
            try:
                async with asyncio.timeout(self.limits.answer_seconds):
                    if is_short(name, params):
                        slot.thread = asyncio.ensure_future(asyncio.to_thread(self._in_thread, name, params))
                        return await asyncio.shield(slot.thread)
                    async with aclosing(self._in_child(name, params)) as events:
                        async for event in events:
                            if isinstance(event, Result):
                                return event.value
            except TimeoutError:
                raise TooLong(
                    f"{name} took longer than {self.limits.answer_seconds:g} s and was stopped: "
                    "ask for less, or use its /stream route"
                ) from None
        raise SimulatorError(f"{name} ended without a result: try again")

    def stream(self, name: str, params: BaseModel) -> tuple[asyncio.Queue[Event | None], asyncio.Task[None]]:
        """Starts the experiment; its events come on the queue, then None. Cancelling the task stops it. Raises Busy."""
        self._refuse_if_full()
        queue: asyncio.Queue[Event | None] = asyncio.Queue(_QUEUE)
        return queue, asyncio.create_task(self._pump(name, params, queue))

    async def _pump(self, name: str, params: BaseModel, queue: asyncio.Queue[Event | None]) -> None:
        try:
            async with (
                self._slot(),
                asyncio.timeout(self.limits.stream_seconds),
                aclosing(self._in_child(name, params)) as events,
            ):
                async for event in events:
                    await queue.put(event)
        except TimeoutError:
            await queue.put(
                Failed(f"{name} took longer than {self.limits.stream_seconds:g} s: ask for less", "TooLong")
            )
        except (SimulatorError, Busy) as error:
            await queue.put(Failed(str(error), type(error).__name__))
        await queue.put(None)

    def _in_thread(self, name: str, params: BaseModel) -> Value:
        from simulator.notebook import Notebook
        from simulator.runner import run

        with Notebook(self.lab.database) as notebook:
            return last_result(run(name, params, notebook=notebook))

    async def _in_child(self, name: str, params: BaseModel) -> AsyncGenerator[Event, None]:
        """Events of `python -m simulator`, whose process group dies with this generator. Raises SimulatorError."""
        process = await asyncio.create_subprocess_exec(
            *command("simulator", name, "--lab", str(self.lab.root), "--params", json.dumps(params.model_dump())),
            env=environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE_LIMIT,
            start_new_session=True,
        )
        assert process.stdout
        try:
            async for line in process.stdout:
                event = from_line(line.decode())
                if isinstance(event, Failed):
                    raise _KINDS.get(event.kind, SimulatorError)(event.error)
                yield event
        finally:
            _kill_group(process.pid)
            await process.wait()

    def _refuse_if_full(self) -> None:
        if self._slots.locked() and self.waiting >= self.limits.waiting:
            raise Busy(f"{self.running} experiments run and {self.waiting} wait, the most: try again in a moment")

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[_Slot]:
        """One of the places for work. Raises Busy where none becomes free in time."""
        self._refuse_if_full()
        self.waiting += 1
        try:
            async with asyncio.timeout(self.limits.waiting_seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise Busy(
                f"no experiment ended within {self.limits.waiting_seconds:g} s, and {self.running} run: try again later"
            ) from None
        finally:
            self.waiting -= 1
        self.running += 1
        slot = _Slot()
        try:
            yield slot
        finally:
            # A thread cannot be stopped: its place stays taken until it has ended, whoever has hung up.
            if slot.thread is None or slot.thread.done():
                self._free()
            else:
                slot.thread.add_done_callback(self._free)

    def _free(self, thread: asyncio.Future[Value] | None = None) -> None:
        if thread is not None and not thread.cancelled():
            thread.exception()
        self.running -= 1
        self._slots.release()


class _Slot:
    """A place for work, and the thread that works there."""

    thread: asyncio.Future[Value] | None = None


def is_short(name: str, params: BaseModel) -> bool:
    """Whether the experiment is estimated to end within about a second."""
    return name in _SHORT and experiment_seconds(params) <= _THREAD_SECONDS


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
