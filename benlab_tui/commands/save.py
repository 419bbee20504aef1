"""`/save FILE`: this session as markdown or JSON."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.registry import Value, command
from pipeline.chats import Message
from pipeline.files import write_text_atomic

_NAMES = {"user": "You", "assistant": "ben-lab", "command": "Command", "note": "Note", "card": "Lab", "tool": "Tool"}


class SaveParams(BaseModel):
    """Where to."""

    model_config = ConfigDict(extra="forbid")

    file: str = Field(
        default="", max_length=1000, description="a .md or .json file; chats/<session>.md in the lab where left out"
    )


@command(
    "save",
    "write this session to a markdown or JSON file",
    params=SaveParams,
    positional=("file",),
    where="console",
    group="Chat",
    examples=("save talk.md", "save talk.json"),
)
async def save(context: Any, params: SaveParams) -> Value:
    """A relative name lies in the lab folder. Raises LabError."""
    screen = context.screen
    path = context.lab.root / Path(params.file or f"chats/session-{screen.session.id}.md").expanduser()
    messages = screen.chats.messages(screen.session.id, 1_000_000)
    text = as_json(messages) if path.suffix == ".json" else as_text(screen.session.title, messages)
    await asyncio.to_thread(write_text_atomic, path, text)
    return {"file": str(path), "messages": len(messages), "summary": f"{len(messages)} messages in {path}"}


def as_json(messages: list[Message]) -> str:
    """A list of {"role", "content", "created", "meta"}."""
    rows = [{"role": m.role, "content": m.content, "created": m.created, "meta": m.meta} for m in messages]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def as_text(title: str, messages: list[Message]) -> str:
    """A heading a message."""
    parts = [f"# {title}"]
    for message in messages:
        parts.append(f"## {_NAMES.get(message.role, message.role)}\n\n{message.content}")
    return "\n\n".join(parts) + "\n"
