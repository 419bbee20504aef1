"""One turn of the conversation: the question, the engine's answer as it streams, the tools it calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from benlab_tui.crash_log import unforeseen
from benlab_tui.widgets.turns import ReplyTurn
from pipeline.errors import LabError, PipelineError

if TYPE_CHECKING:
    from benlab_tui.screens.sending import Sending
    from pipeline.chat import ChatEngine, ChatEvent, Done
    from pipeline.chats import Message

HISTORY = 40
"""Messages that go to the engine at most; it drops the oldest itself where they do not fit its context."""

_KEPT_EVERY = 2.0


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
            await self._rounds(engine)
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

    async def _rounds(self, engine: ChatEngine) -> None:
        """The answer, and after each round of tool calls the answer to their results."""
        from benlab_tui.control.tools import ToolTurn

        screen = self._screen
        messages = history(screen.stored())
        sources = await self._with_passages(messages)
        tools = ToolTurn(screen)
        while True:
            text, calls = await self._stream(engine, messages, tools.schemas(), sources)
            if not calls:
                return
            messages += await tools.run(text, calls)
            if tools.spent:
                return

    async def _with_passages(self, messages: list[Any]) -> list[str]:
        """Where /rag is on, the last question gets the lab's passages in front; returns their citations."""
        screen = self._screen
        if not messages or not screen.chats.recall("rag", False):
            return []
        from pipeline.retrieval import augment

        try:
            text, passages = await asyncio.to_thread(augment, screen.lab, messages[-1]["content"])
        except LabError as error:
            screen.warn(str(error))
            return []
        messages[-1] = {**messages[-1], "content": text}
        return [passage.citation for passage in passages]

    async def _stream(
        self, engine: ChatEngine, messages: list[Any], tools: list[dict[str, Any]], sources: list[str]
    ) -> tuple[str, list[Any]]:
        """One answer into one turn, kept in lab.db as it grows. Returns its text and the calls in it."""
        screen = self._screen
        turn = ReplyTurn(meta={"engine": engine.label, "model": engine.model, "sources": sources})
        turn.add_class("-live")
        await screen.to_end()
        await screen.transcript.add(turn)
        calls: list[Any] = []
        done: Done | None = None
        try:
            async with aclosing(engine.chat(messages, tools=tools or None)) as events:
                done = await self._read(events, turn, calls)
        except PipelineError as error:
            await self._end(turn, {"partial": True})
            await screen.error(f"{error} (r on the answer, or ctrl+r, asks again)")
            return turn.text, []
        except asyncio.CancelledError:
            await self._end(turn, {"partial": True})
            raise
        except Exception as error:
            # What has come is kept before anything else can go wrong.
            await self._end(turn, {"partial": True})
            await screen.error(f"{unforeseen(screen.lab, 'the answer', error)}; what had arrived is kept")
            return turn.text, []
        await self._end(turn, _said(done))
        return turn.text, calls

    async def _read(self, events: AsyncGenerator[ChatEvent, None], turn: ReplyTurn, calls: list[Any]) -> Done | None:
        from pipeline.chat.events import Delta, Done, ToolCall

        kept, done = time.monotonic(), None
        async for event in events:
            if isinstance(event, Delta):
                turn.feed(event.text)
                if time.monotonic() - kept > _KEPT_EVERY:
                    kept = time.monotonic()
                    await asyncio.to_thread(self._keep, turn, {"partial": True})
            elif isinstance(event, ToolCall):
                calls.append(event)
            elif isinstance(event, Done):
                done = event
        return done

    async def _end(self, turn: ReplyTurn, meta: dict[str, Any]) -> None:
        turn.remove_class("-live")
        await turn.finish(**meta)
        if not turn.text.strip() and not meta.get("partial"):
            await turn.remove()
            return
        turn.meta["partial"] = meta.get("partial", False)
        self._keep(turn, turn.meta)
        await self._screen.after_answer(turn)

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


def history(stored: list[Message]) -> list[Any]:
    """Stored messages as the engine takes them: questions and answers, no cards and no notes.

    An answer that is followed by another without a question between them is joined to it, as templates expect turns.
    """
    messages: list[dict[str, Any]] = []
    for message in stored[-HISTORY:]:
        if message.role not in ("user", "assistant") or message.meta.get("kind") == "command" or not message.content:
            continue
        if messages and messages[-1]["role"] == message.role:
            messages[-1] = {"role": message.role, "content": f"{messages[-1]['content']}\n\n{message.content}"}
        else:
            messages.append({"role": message.role, "content": message.content})
    while messages and messages[0]["role"] == "assistant":
        messages.pop(0)
    return messages


def _said(done: Done | None) -> dict[str, Any]:
    """What the engine said of the answer, for the line under it."""
    if done is None:
        return {}
    names = ("reason", "prompt_tokens", "completion_tokens", "tokens_per_second", "first_token_seconds")
    return {name: getattr(done, name) for name in (*names, "context_length", "dropped_messages")}
