"""Which model answers, opened when it is first needed and closed with the console."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from benlab_tui.trusting import Ask, with_trust
from pipeline.errors import ChatError, PipelineError

if TYPE_CHECKING:
    from pipeline.chat import ChatEngine
    from pipeline.lab import Lab

Opener = Callable[["Lab", str], Awaitable["ChatEngine"]]
AUTOMATIC = "auto"
"""The model in use where the person chose none: ben-lab, or the base while nothing is installed."""


async def open_engine(lab: Lab, model: str) -> ChatEngine:
    """The real opener: Ollama where its server lists the model, else the embedded engine. Raises ChatError."""
    from pipeline import chat

    return await chat.open_engine(lab, model)


class Engines:
    """Holds the engine in use. `model` is a name, or AUTOMATIC; `ask` puts a question about trust to the person."""

    def __init__(self, lab: Lab, opener: Opener | None = None, model: str = AUTOMATIC, ask: Ask | None = None) -> None:
        self._lab = lab
        self._ask = ask
        self._opener = opener or open_engine
        self._engine: ChatEngine | None = None
        self._opening = asyncio.Lock()
        self.model = model
        self.problem = ""
        """Why no engine could be opened, in one sentence."""

    @property
    def engine(self) -> ChatEngine | None:
        """The open engine, or None."""
        return self._engine

    @property
    def label(self) -> str:
        """Engine and model, as the header shows them."""
        return self._engine.label if self._engine is not None else ""

    @property
    def chosen(self) -> str:
        """The model's name; ben-lab where the person chose none."""
        return "ben-lab" if self.model == AUTOMATIC else self.model

    async def get(self) -> ChatEngine:
        """The engine in use, opened where it is not. Raises PipelineError."""
        async with self._opening:
            if self._engine is None:
                self._engine = await self._open()
            return self._engine

    async def open_pair(self, models: Sequence[str]) -> list[ChatEngine]:
        """Engines for a comparison, on one server where they share the base; the caller closes them.

        Raises PipelineError.
        """
        if self._opener is open_engine:
            from pipeline.chat import open_side_by_side

            with contextlib.suppress(ChatError):
                return list(await open_side_by_side(self._lab, models))
        engines: list[ChatEngine] = []
        try:
            for model in models:
                engines.append(await self._opener(self._lab, model))
        except PipelineError:
            for engine in engines:
                await engine.aclose()
            raise
        return engines

    async def switch(self, model: str) -> None:
        """Closes the engine; the next `get` opens this model."""
        await self.close()
        self.model = model

    async def close(self) -> None:
        """Closes the engine where one is open."""
        async with self._opening:
            engine, self._engine, self.problem = self._engine, None, ""
            if engine is not None:
                await engine.aclose()

    async def _open(self) -> ChatEngine:
        wanted = ["ben-lab", "base"] if self.model == AUTOMATIC else [self.model]
        problem: PipelineError = ChatError("no model is here")
        for model in wanted:
            try:
                engine = await with_trust(self._lab, self._ask, partial(self._opener, self._lab, model))
                self.problem = ""
                return engine
            except PipelineError as error:
                problem = error
        self.problem = str(problem)
        raise problem
