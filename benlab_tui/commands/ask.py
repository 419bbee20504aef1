"""`ask "…"`: one question to ben-lab, or with --base to the base."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.errors import BadArgument
from benlab_tui.registry import Value, command
from simulator.events import Note


class AskParams(BaseModel):
    """The question, and who answers."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=1, max_length=100_000, description="what to ask")
    base: bool = Field(default=False, description="ask the base without the adapter")
    model: str = Field(default="ben-lab", min_length=1, max_length=200, description="ben-lab, base, or a version")
    allow: list[str] = Field(default_factory=list, description="long runs that may start unasked", examples=[["sweep"]])
    rag: bool | None = Field(default=None, description="draw on the lab's passages and cite them (`rag on` for all)")
    max_tokens: int = Field(default=512, ge=1, le=32_768, description="the answer's greatest length (tokens)")


@command(
    "ask",
    "ask ben-lab one question (--base: the base model)",
    params=AskParams,
    positional=("question",),
    rest=True,
    where="headless",
    group="Chat",
    examples=('ask "What does TRI measure?"',),
)
async def ask(context: Any, params: AskParams) -> Value:
    """Streams the answer, runs included; the result holds it with its timings. Raises pipeline.errors.ChatError."""
    from benlab_tui.headless_talk import Lines, speak
    from pipeline.chat import ChatOptions, open_engine
    from pipeline.chat.conversation import Conversation
    from pipeline.chat.lab_tools import names
    from pipeline.chat.loops import REPETITION
    from pipeline.retrieval import with_passages

    if strange := [name for name in params.allow if name not in names()]:
        raise BadArgument(f"allow names {strange[0]!r}, which is not a tool: use {', '.join(sorted(names()))}")
    prompt, sources = await asyncio.to_thread(with_passages, context.lab, params.question, params.rag)
    engine = await open_engine(context.lab, "base" if params.base else params.model)
    try:
        if engine.is_remote and not await context.confirm(
            f"{engine.label} is not on this machine. Send the question there?"
        ):
            return {"summary": "not sent"}
        talk = Conversation(engine, context.lab, allow=names() if context.yes else params.allow)
        asks = Lines().confirm if context.interactive else None
        options = ChatOptions(max_tokens=params.max_tokens)
        answer, ran = await speak(talk, prompt, as_json=False, ask=asks, options=options, write=context.write)
    finally:
        await engine.aclose()
    if answer.done is not None and answer.done.reason == REPETITION:
        await context.emit(Note("the answer repeated itself and was cut"))
    if sources:
        await context.write("".join(f"[{number}] {source}\n" for number, source in enumerate(sources, 1)))
    return {
        **({"sources": sources} if sources else {}),
        "question": params.question,
        "answer": answer.text,
        "tools": ran,
        "verified": [check.as_event() for check in answer.checks],
        "engine": engine.label,
        **_timings(answer.done),
    }


def _timings(done: object) -> Value:
    names = ("reason", "prompt_tokens", "completion_tokens", "tokens_per_second", "first_token_seconds", "seed")
    return {name: getattr(done, name) for name in names} if done is not None else {}
