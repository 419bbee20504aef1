"""One question, one answer, in process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection
from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.lab import Lab


def ask(prompt: str, *, model: str = "ben-lab", lab: Lab | None = None, allow: Collection[str] = ()) -> str:
    """Return the model's answer to one prompt, under the Modelfile's system prompt. Raises ChatError.

    It may run experiments, under the console's limits; long ones (sweep, scientist) only if `allow` names them.
    Works with or without a running event loop, so it may be called from a notebook as well.
    """
    answer: list[str | BaseException] = []

    def run() -> None:
        try:
            answer.append(asyncio.run(_ask(prompt, model, lab, allow)))
        except BaseException as error:
            answer.append(error)

    thread = threading.Thread(target=run, name="ask")
    thread.start()
    thread.join()
    if isinstance(answer[0], BaseException):
        raise answer[0]
    return answer[0]


async def _ask(prompt: str, model: str, lab: Lab | None, allow: Collection[str]) -> str:
    from pipeline.chat.conversation import Answered, Conversation
    from pipeline.chat.open import open_engine
    from pipeline.lab import find_lab

    place = lab or find_lab()
    engine = await open_engine(place, model)
    try:
        async with aclosing(Conversation(engine, place, allow=allow).ask(prompt)) as events:
            return "".join([event.text async for event in events if isinstance(event, Answered)])
    finally:
        await engine.aclose()
