"""Engines for the console's benchmarks, behind the real protocol."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pipeline.chat.events import ChatEvent


class Bounded:
    """The engine with a bound on length, its tokens timed from the first to the last as the console takes them."""

    def __init__(self, engine, tokens: int) -> None:
        self._engine, self._tokens = engine, tokens
        self.label, self.model, self.is_remote = engine.label, engine.model, False
        self.context_length = engine.context_length
        self.rate, self.first = 0.0, 0.0

    async def chat(self, messages, *, tools=None, options=None) -> AsyncIterator[ChatEvent]:
        from pipeline.chat.events import ChatOptions, Delta, Done

        start = 0.0
        async with aclosing(
            self._engine.chat(messages[-1:], options=ChatOptions(max_tokens=self._tokens, temperature=0.0))
        ) as events:
            async for event in events:
                if isinstance(event, Delta):
                    start = start or time.perf_counter()
                if isinstance(event, Done):
                    self.rate = (event.completion_tokens - 1) / (time.perf_counter() - start)
                yield event

    async def aclose(self) -> None:
        pass


class Script:
    """An engine that says what it is told, as fast as the console takes it."""

    label, model, is_remote, context_length = "script", "script", False, 4096

    def __init__(self, text: str, pause: float = 0.0) -> None:
        self._words, self._pause = text.split(" "), pause

    async def chat(self, messages, *, tools=None, options=None) -> AsyncIterator[ChatEvent]:
        from pipeline.chat.events import Delta, Done

        for word in self._words:
            yield Delta(word + " ")
            await asyncio.sleep(self._pause)
        yield Done("stop", 10, len(self._words), 1.0, 0.1, 4096)

    async def aclose(self) -> None:
        pass
