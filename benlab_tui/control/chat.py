"""One turn of the conversation on the screen: the answer as it streams, the cards of its runs, its questions."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from benlab_tui.crash_log import unforeseen
from benlab_tui.widgets.turns import ReplyTurn
from pipeline.errors import LabError, PipelineError

if TYPE_CHECKING:
    from benlab_tui.screens.sending import Sending
    from pipeline.chat import ChatEngine, Done
    from pipeline.chat.conversation import Conversation, Said, TurnEvent

_KEPT_EVERY = 2.0
_LOADED = 80
"""Stored entries of a session that a conversation starts from."""


class Chat:
    """Answers one question at a time. `stop` ends the answer; what has come is kept and marked."""

    def __init__(self, screen: Sending) -> None:
        self._screen = screen
        self._task: asyncio.Task[None] | None = None
        self._asked: set[str] = set()

    @property
    def busy(self) -> bool:
        """Whether an answer is on its way."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Answers the session's last question."""
        self._task = asyncio.create_task(self._answer())

    async def stop(self) -> bool:
        """Ends the answer; whether there was one."""
        if not self.busy or self._task is None:
            return False
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        return True

    async def _answer(self) -> None:
        screen = self._screen
        screen.show_busy(True)
        try:
            engine = await screen.engines.get()
            screen.show_engine()
            if engine.is_remote and not await self._may_send(engine):
                await screen.note("nothing was sent")
                return
            await self._turn(engine)
        except asyncio.CancelledError:
            pass
        except PipelineError as error:
            await screen.no_answer(str(error))
        except Exception as error:
            await screen.error(unforeseen(screen.lab, "the answer", error))
        finally:
            screen.show_busy(False)

    async def _may_send(self, engine: ChatEngine) -> bool:
        """Asks once for each server that is not on this machine."""
        if engine.label not in self._asked:
            question = f"{engine.label} is not on this machine. Send what you write there?"
            if not await self._screen.ask(question):
                return False
            self._asked.add(engine.label)
        return True

    async def _turn(self, engine: ChatEngine) -> None:
        """The answer, the runs that it asks for, and the answers to their results."""
        screen = self._screen
        talk = await asyncio.to_thread(conversation, screen, engine)
        sources = await self._with_passages(talk.history.messages)
        shown = _Shown(screen, engine, sources)
        reply: Any = None
        try:
            async with aclosing(talk.answer()) as events:
                while True:
                    try:
                        event = await events.asend(reply)
                    except StopAsyncIteration:
                        return
                    reply = await shown.take(event)
        except PipelineError as error:
            await shown.end({"partial": True})
            await screen.error(f"{error} (r on the answer, or ctrl+r, asks again)")
        except asyncio.CancelledError:
            await shown.end({"partial": True})
            raise
        except Exception as error:
            # What has come is kept before anything else can go wrong.
            await shown.end({"partial": True})
            await screen.error(f"{unforeseen(screen.lab, 'the answer', error)}; what had arrived is kept")

    async def _with_passages(self, messages: list[Any]) -> list[str]:
        """Where /rag is on, the last question gets the lab's passages in front; returns their citations."""
        screen = self._screen
        if not messages or not screen.chats.recall("rag", False):
            return []
        from pipeline.retrieval import with_passages

        try:
            text, sources = await asyncio.to_thread(with_passages, screen.lab, messages[-1]["content"], True)
        except LabError as error:
            screen.warn(str(error))
            return []
        messages[-1] = {**messages[-1], "content": text}
        return sources


class _Shown:
    """What a turn shows: an entry for each answer of the model, kept in lab.db as it grows, and a card for each run."""

    def __init__(self, screen: Sending, engine: ChatEngine, sources: list[str]) -> None:
        self._screen = screen
        self._meta = {"engine": engine.label, "model": engine.model, "sources": sources}
        self._turn: ReplyTurn | None = None
        self._last: ReplyTurn | None = None
        self._kept = 0.0

    async def take(self, event: TurnEvent) -> bool | None:
        """Shows one event; returns what the person said, if it asks."""
        from pipeline.chat import conversation as c
        from pipeline.chat.events import Delta

        screen = self._screen
        if isinstance(event, Delta):
            await self._feed(event.text)
        elif isinstance(event, c.NumberChecked):
            self._mark(event.check.as_chip())
        elif isinstance(event, c.Said):
            await self._said(event)
        elif isinstance(event, c.AskFirst):
            return await screen.ask(event.question)
        elif isinstance(event, c.ToolStarted):
            if event.job is not None:
                await screen.show_job(screen.jobs.adopt(event.job))
        elif isinstance(event, c.ToolRan):
            await self._ran(event)
        elif isinstance(event, c.ToolRefused):
            await screen.note(f"the call of {event.call.name[:60]} was refused: {event.reason}")
        elif isinstance(event, c.Answered):
            await self._answered(event)
        return None

    async def end(self, meta: dict[str, Any]) -> None:
        """Ends the entry that is open, if one is."""
        turn, self._turn = self._turn, None
        if turn is None:
            return
        turn.remove_class("-live")
        await turn.finish(**meta)
        if not turn.text.strip() and not meta.get("partial"):
            await turn.remove()
            return
        turn.meta["partial"] = meta.get("partial", False)
        self._keep(turn, turn.meta)
        self._last = turn
        await self._screen.after_answer(turn)

    async def _feed(self, text: str) -> None:
        if self._turn is None:
            if not text.strip():
                return
            self._turn = ReplyTurn(meta=dict(self._meta))
            self._turn.add_class("-live")
            await self._screen.to_end()
            await self._screen.transcript.add(self._turn)
            self._kept = time.monotonic()
        self._turn.feed(text)
        if time.monotonic() - self._kept > _KEPT_EVERY:
            self._kept = time.monotonic()
            await asyncio.to_thread(self._keep, self._turn, {"partial": True})

    def _mark(self, chip: dict[str, Any]) -> None:
        """A number of the answer that is on its way, marked under it."""
        if self._turn is not None and chip not in (chips := self._turn.meta.setdefault("chips", [])):
            chips.append(chip)
            self._turn.describe()

    async def _said(self, said: Said) -> None:
        chips = [check.as_chip() for check in said.checks]
        await self.end({**_told(said.done), **({"chips": chips} if chips else {})})

    async def _ran(self, event: Any) -> None:
        from simulator.notebook_search import NAME

        call = {"name": event.call.name, "arguments": dict(event.call.arguments)}
        if event.call.name == NAME:
            found = [row["result"]["experiment_id"] for row in event.result["runs"]]
            await self._screen.answer(event.text, found=found, result=event.result, call=call)
        else:
            await self._screen.show_experiment(event.result, call=call)

    async def _answered(self, event: Any) -> None:
        """The answer cites its runs; one that tells numbers without a run says how to measure them."""
        if self._last is not None and event.runs:
            self._last.meta["runs"] = event.runs
            self._keep(self._last, self._last.meta)
            self._last.describe()
        if event.proposal:
            await self._screen.note(f"nothing was run in this chat, so its numbers are not measured: {event.proposal}")

    def _keep(self, turn: ReplyTurn, meta: dict[str, Any]) -> None:
        screen = self._screen
        try:
            if turn.message_id is None:
                turn.message_id = screen.chats.add(
                    screen.session.id, "assistant", turn.text, **{**turn.meta, **meta}
                ).id
            else:
                screen.chats.change(turn.message_id, turn.text, **{**turn.meta, **meta})
        except LabError as error:
            screen.warn(str(error))


def conversation(screen: Sending, engine: ChatEngine) -> Conversation:
    """The session as the engine takes it: questions, answers, and the runs of both the model and the person."""
    from pipeline.chat.conversation import Conversation

    talk = Conversation(engine, screen.lab)
    talk.history.restore(screen.stored(_LOADED))
    return talk


def _told(done: Done | None) -> dict[str, Any]:
    """What the engine said of the answer, for the line under it."""
    if done is None:
        return {}
    names = ("reason", "prompt_tokens", "completion_tokens", "tokens_per_second", "first_token_seconds", "seed")
    return {name: getattr(done, name) for name in (*names, "context_length", "dropped_messages")}
