"""One question, one answer, in process."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.lab import Lab


def ask(prompt: str, *, model: str = "ben-lab", lab: Lab | None = None) -> str:
    """The model's answer to one prompt, under the Modelfile's system prompt. Raises ChatError.

    Works with or without a running event loop, so it may be called from a notebook as well.
    """
    answer: list[str | BaseException] = []

    def run() -> None:
        try:
            answer.append(asyncio.run(_ask(prompt, model, lab)))
        except BaseException as error:
            answer.append(error)

    thread = threading.Thread(target=run, name="ask")
    thread.start()
    thread.join()
    if isinstance(answer[0], BaseException):
        raise answer[0]
    return answer[0]


async def _ask(prompt: str, model: str, lab: Lab | None) -> str:
    from pipeline.chat.events import Delta
    from pipeline.chat.open import open_engine
    from pipeline.lab import find_lab

    engine = await open_engine(lab or find_lab(), model)
    try:
        async with aclosing(engine.chat([{"role": "user", "content": prompt}])) as events:
            return "".join([event.text async for event in events if isinstance(event, Delta)])
    finally:
        await engine.aclose()
