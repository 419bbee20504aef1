"""POST /api/generate and /api/chat as Ollama answers it, so that the guide's query works without Ollama."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipeline.api.schemas import ChatRequest, GenerateRequest
from pipeline.api.work import Busy
from pipeline.errors import ChatError, LabError, PipelineError

if TYPE_CHECKING:
    from pipeline.chat import ChatEngine
    from pipeline.chat.conversation import ToolRan
    from pipeline.lab import Lab

ANSWER_SECONDS = 300.0


MOST_WAITING = 8
WAITING_SECONDS = 120.0


class Speaker:
    """One engine, opened at the first question and kept for the next; questions take turns."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._engine: ChatEngine | None = None
        self._model = ""
        self._turn = asyncio.Lock()
        self._door = asyncio.Lock()
        self._waiting = 0

    async def lines(self, request: GenerateRequest | ChatRequest) -> AsyncIterator[dict[str, Any]]:
        """Ollama's objects: pieces of the answer and the runs, then one with `done`. Raises ChatError."""
        from pipeline.chat.conversation import Answered, Conversation, ToolRan
        from pipeline.chat.events import ChatOptions, Delta

        async with self._own_turn(), asyncio.timeout(ANSWER_SECONDS):
            talk = Conversation(await self._open(request.model), self.lab)
            line = _ChatLine(request.model) if isinstance(request, ChatRequest) else _GenerateLine(request.model)
            turns = list(request.turns())
            sources = await self._add_passages(turns, getattr(request, "rag", None))
            for role, text in turns:
                if role == "tool":
                    talk.history.add_result(text)
                else:
                    talk.history.add(role, text)
            chosen = request.options.model_dump(exclude={"num_predict"})
            options = ChatOptions(max_tokens=request.options.num_predict, **chosen)
            async with aclosing(talk.answer(options)) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        yield line.piece(event.text)
                    elif isinstance(event, ToolRan) and (told := line.ran(event)):
                        yield told
                    elif isinstance(event, Answered):
                        reason = event.done.reason if event.done else "stop"
                        cited = {"sources": sources} if sources else {}
                        said = [check.as_event() for check in event.checks]
                        yield {**line.last(), "done_reason": reason, "verified": said, "runs": event.runs, **cited}

    async def answer(self, request: GenerateRequest | ChatRequest) -> dict[str, Any]:
        """The whole answer as one object. Raises ChatError."""
        pieces: list[str] = []
        last: dict[str, Any] = {}
        try:
            async for last in self.lines(request):
                message = last.get("message", {"role": "assistant", "content": last.get("response", "")})
                if message["role"] == "assistant":
                    pieces.append(message["content"])
        except TimeoutError:
            raise ChatError(f"the answer took longer than {ANSWER_SECONDS:g} s: ask for less") from None
        text = "".join(pieces)
        if isinstance(request, ChatRequest):
            return {**last, "message": {"role": "assistant", "content": text}}
        return {**last, "response": text}

    async def stream(self, request: GenerateRequest | ChatRequest) -> AsyncIterator[bytes]:
        """One JSON object a line; an error in the middle is a line too, as Ollama sends it."""
        try:
            async for line in self.lines(request):
                yield json.dumps(line).encode() + b"\n"
        except (PipelineError, Busy, TimeoutError) as error:
            yield json.dumps({"error": str(error) or "the answer took too long: ask for less"}).encode() + b"\n"

    async def check(self, request: GenerateRequest | ChatRequest) -> None:
        """Opens the engine, so that what is missing is said before an answer begins. Raises ChatError."""
        async with self._own_turn(), _bounded():
            await self._open(request.model)

    async def close(self) -> None:
        """Ends the engine's process."""
        if self._engine:
            engine, self._engine = self._engine, None
            await engine.aclose()

    async def _add_passages(self, turns: list[tuple[str, str]], wanted: bool | None) -> list[str]:
        """Puts the lab's passages in front of the last question, if they are on; returns their citations."""
        from pipeline.retrieval import with_passages

        if not turns or turns[-1][0] != "user":
            return []
        try:
            text, sources = await asyncio.to_thread(with_passages, self.lab, turns[-1][1], wanted)
        except LabError as error:
            raise ChatError(str(error)) from error
        turns[-1] = ("user", text)
        return sources

    @asynccontextmanager
    async def _own_turn(self) -> AsyncIterator[None]:
        """The engine for one question. Raises Busy where too many wait, or one waits too long."""
        if self._waiting >= MOST_WAITING:
            raise Busy(f"{self._waiting} questions wait, the most: try again in a moment")
        self._waiting += 1
        try:
            async with asyncio.timeout(WAITING_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise Busy(f"the model was busy for {WAITING_SECONDS:g} s: try again later") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turn.release()

    async def _open(self, model: str) -> ChatEngine:
        """The engine of this model. One that is being loaded when its asker hangs up is kept for the next."""
        await self._door.acquire()
        opening = asyncio.ensure_future(self._opened(model))
        opening.add_done_callback(self._leave)
        return await asyncio.shield(opening)

    def _leave(self, opening: asyncio.Future[ChatEngine]) -> None:
        self._door.release()
        if not opening.cancelled():
            opening.exception()

    async def _opened(self, model: str) -> ChatEngine:
        if self._engine and self._model == model:
            return self._engine
        await self.close()
        from pipeline.chat import open_engine

        try:
            engine = await open_engine(self.lab, model)
        except ChatError:
            raise
        except PipelineError as error:
            raise ChatError(str(error)) from error
        if engine.is_remote:
            await engine.aclose()
            raise ChatError(f"the model {model!r} is on another machine, and the lab's API passes no words on to one")
        self._engine, self._model = engine, model
        return engine


@asynccontextmanager
async def _bounded() -> AsyncIterator[None]:
    """Raises ChatError where what is inside takes longer than an answer may."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            yield
    except TimeoutError:
        raise ChatError(f"the model was not loaded within {ANSWER_SECONDS:g} s: try again later") from None


class _GenerateLine:
    """Lines of /api/generate."""

    def __init__(self, model: str) -> None:
        self._model = model

    def piece(self, text: str) -> dict[str, Any]:
        """A piece of the answer."""
        return {**_head(self._model), "response": text, "done": False}

    def ran(self, event: ToolRan) -> dict[str, Any] | None:
        """A run; the form has no place for it."""
        return None

    def last(self) -> dict[str, Any]:
        """The end."""
        return {**_head(self._model), "response": "", "done": True}


class _ChatLine(_GenerateLine):
    """Lines of /api/chat; a run is a message of the role tool."""

    def piece(self, text: str) -> dict[str, Any]:
        """A piece of the answer."""
        return {**_head(self._model), "message": {"role": "assistant", "content": text}, "done": False}

    def ran(self, event: ToolRan) -> dict[str, Any] | None:
        """The tool message that the model reads."""
        message = {"role": "tool", "tool_name": event.call.name, "content": event.text}
        return {**_head(self._model), "message": message, "done": False}

    def last(self) -> dict[str, Any]:
        """The end."""
        return {**_head(self._model), "message": {"role": "assistant", "content": ""}, "done": True}


def _head(model: str) -> dict[str, Any]:
    return {"model": model, "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z")}
