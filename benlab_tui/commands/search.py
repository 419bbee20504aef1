"""`/search WORDS`: messages of all sessions that hold these words."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.registry import Value, command
from benlab_tui.text import one_line


class SearchParams(BaseModel):
    """What to look for."""

    model_config = ConfigDict(extra="forbid")

    words: str = Field(min_length=1, max_length=500, description="words that the message holds, or begins to hold")


@command(
    "search",
    "find messages of all sessions by their words",
    params=SearchParams,
    positional=("words",),
    rest=True,
    where="console",
    group="Chat",
    examples=("search replay drift",),
)
async def search(context: Any, params: SearchParams) -> Value:
    """The best match first; F3 opens the session."""
    chats = context.screen.chats
    # The search itself is the newest message that holds the words.
    found = [m for m in await asyncio.to_thread(chats.search, params.words, 20) if m.role != "command"]
    titles = {session.id: session.title for session in await asyncio.to_thread(chats.sessions, 1000)}
    lines = [f"{one_line(titles.get(m.session_id, ''), 30)} · {m.role}: {one_line(m.content, 100)}" for m in found]
    rows = [{"session": m.session_id, "message": m.id, "role": m.role} for m in found]
    return {"messages": rows, "summary": "\n".join(lines) or "no message holds all these words"}
