"""POST /api/generate as Ollama answers it, so that the guide's query works without Ollama."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipeline.api.schemas import GenerateRequest
from pipeline.api.work import Busy
from pipeline.errors import ChatError, PipelineError

if TYPE_CHECKING:
    from pipeline.chat import ChatEngine
    from pipeline.chat.events import Message
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

    async def lines(self, request: GenerateRequest) -> AsyncIterator[dict[str, Any]]:
        """Ollama's objects: pieces of the answer, then one with `done`. Raises ChatError."""
        from pipeline.chat.events import ChatOptions, Delta, Done

        async with self._own_turn(), asyncio.timeout(ANSWER_SECONDS):
            engine = await self._open(request.model)
            messages: list[Message] = [{"role": "user", "content": request.prompt}]
            if request.system:
                messages.insert(0, {"role": "system", "content": request.system})
            reason = "stop"
            chosen = request.options.model_dump(exclude={"num_predict"})
            options = ChatOptions(max_tokens=request.options.num_predict, **chosen)
            async with aclosing(engine.chat(messages, options=options)) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        yield _line(request.model, event.text)
                    elif isinstance(event, Done):
                        reason = event.reason
            yield {**_line(request.model, "", done=True), "done_reason": reason}

    async def answer(self, request: GenerateRequest) -> dict[str, Any]:
        """The whole answer as one object. Raises ChatError."""
        pieces: list[str] = []
        last: dict[str, Any] = {}
        try:
            async for last in self.lines(request):
                pieces.append(last["response"])
        except TimeoutError:
            raise ChatError(f"the answer took longer than {ANSWER_SECONDS:g} s: ask for less") from None
        return {**last, "response": "".join(pieces)}

    async def stream(self, request: GenerateRequest) -> AsyncIterator[bytes]:
        """One JSON object a line; an error in the middle is a line too, as Ollama sends it."""
        try:
            async for line in self.lines(request):
                yield json.dumps(line).encode() + b"\n"
        except (PipelineError, Busy, TimeoutError) as error:
            yield json.dumps({"error": str(error) or "the answer took too long: ask for less"}).encode() + b"\n"

    async def check(self, request: GenerateRequest) -> None:
        """Opens the engine, so that what is missing is said before an answer begins. Raises ChatError."""
        async with self._own_turn(), _bounded():
            await self._open(request.model)

    async def close(self) -> None:
        """Ends the engine's process."""
        if self._engine:
            engine, self._engine = self._engine, None
            await engine.aclose()

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


def _line(model: str, text: str, *, done: bool = False) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return {"model": model, "created_at": now, "response": text, "done": done}
