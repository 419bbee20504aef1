"""`ask "…"`: one question to ben-lab, or with --base to the base."""

from __future__ import annotations

from contextlib import aclosing

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.context import Context
from benlab_tui.registry import Value, command


class AskParams(BaseModel):
    """The question, and who answers."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=1, max_length=100_000, description="what to ask")
    base: bool = Field(default=False, description="ask the base without the adapter")
    model: str = Field(default="ben-lab", min_length=1, max_length=200, description="ben-lab, base, or a version")
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
async def ask(context: Context, params: AskParams) -> Value:
    """Streams the answer; the result holds it with its timings. Raises pipeline.errors.ChatError."""
    from pipeline.chat import ChatOptions, Delta, Done, Message, open_engine

    engine = await open_engine(context.lab, "base" if params.base else params.model)
    if engine.is_remote and not await context.confirm(
        f"{engine.label} is not on this machine. Send the question there?"
    ):
        await engine.aclose()
        return {"summary": "not sent"}
    parts: list[str] = []
    done: Done | None = None
    try:
        question: Message = {"role": "user", "content": params.question}
        async with aclosing(engine.chat([question], options=ChatOptions(max_tokens=params.max_tokens))) as events:
            async for event in events:
                if isinstance(event, Delta):
                    parts.append(event.text)
                    await context.write(event.text)
                elif isinstance(event, Done):
                    done = event
    finally:
        await engine.aclose()
    return {"question": params.question, "answer": "".join(parts), "engine": engine.label, **_timings(done)}


def _timings(done: object) -> Value:
    names = ("reason", "prompt_tokens", "completion_tokens", "tokens_per_second", "first_token_seconds", "seed")
    return {name: getattr(done, name) for name in names} if done is not None else {}
