"""`trust`: what this lab's files name, and whether it may be used."""

from __future__ import annotations

import asyncio
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.context import Context
from benlab_tui.registry import Value, command

_WORDS = {True: "yes", False: "no", None: "not answered"}


class TrustParams(BaseModel):
    """The answer."""

    model_config = ConfigDict(extra="forbid")

    answer: Literal["ask", "yes", "no", "forget", "show"] = Field(
        default="ask", description="ask for each, answer all of them with yes or no, forget the answers, or show them"
    )


@command(
    "trust",
    "show and answer what this lab's files name: hosts, and the variables of keys",
    params=TrustParams,
    positional=("answer",),
    examples=("trust", "trust no", "trust forget"),
)
async def trust(context: Context, params: TrustParams) -> Value:
    """Without a terminal it takes an answer, or --yes. Raises Declined where nobody can answer."""
    from pipeline.trust import TrustStore, requests

    store, rows = TrustStore(), []
    for request in await asyncio.to_thread(requests, context.lab):
        if params.answer == "forget":
            store.forget(request.path)
        elif params.answer != "show":
            asked = params.answer == "ask"
            store.record(request, await context.confirm(request.question()) if asked else params.answer == "yes")
        answer = _WORDS[store.answer(request)]
        rows.append({"file": str(request.path), "names": list(request.names), "answer": answer})
    lines = [f"{row['answer']:<12}  {', '.join(row['names'])}  ({row['file']})" for row in rows]
    return {"trust": rows, "summary": "\n".join(lines) or "this lab names no host and no key: nothing to answer"}
