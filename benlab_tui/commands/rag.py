"""`/rag on|off`: answers draw on the lab's own notebook, glossary and reports."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.registry import Value, command


class RagParams(BaseModel):
    """On, off, or what is set now."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["on", "off", "show"] = Field(default="show", description="on, off, or show what is set")


@command(
    "rag",
    "let answers draw on experiments, glossary and reports of this lab, with citations",
    params=RagParams,
    positional=("state",),
    where="console",
    group="Chat",
    examples=("rag on",),
)
async def rag(context: Any, params: RagParams) -> Value:
    """Kept in this lab."""
    chats = context.screen.chats
    if params.state != "show":
        chats.remember("rag", params.state == "on")
    state = "on" if chats.recall("rag", False) else "off"
    return {"rag": state, "summary": f"retrieval is {state}"}
