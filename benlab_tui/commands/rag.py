"""`rag on|off|add PATH|list|remove NAME`: answers draw on the lab and on a person's documents, and cite them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from benlab_tui.context import Context
from benlab_tui.registry import Value, command
from benlab_tui.text import inert
from pipeline.errors import PipelineError
from simulator.events import Event, Result


class RagParams(BaseModel):
    """What to do, and with which document."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["on", "off", "show", "add", "list", "remove"] = Field(
        default="show", description="turn it on or off, show what is set; add, list or remove documents"
    )
    path: str = Field(default="", max_length=4096, description="add: a file or folder (md, txt, pdf); remove: a name")

    @model_validator(mode="after")
    def _complete(self) -> RagParams:
        if self.action in ("add", "remove") and not self.path:
            how = "`benlab rag add notes.pdf`" if self.action == "add" else "`benlab rag remove notes.pdf`"
            raise ValueError(f"{self.action} names no document: write it after {self.action}, as in {how}")
        if self.path and self.action not in ("add", "remove"):
            raise ValueError(f"path is {self.path[:60]!r}, and {self.action} takes none: leave it out, or use add")
        return self


@command(
    "rag",
    "let answers draw on experiments, glossary, reports and your documents, with citations",
    params=RagParams,
    positional=("action", "path"),
    rest=True,
    group="Chat",
    examples=("rag on", "rag add ~/papers", "rag list", "rag remove notes.pdf"),
)
async def rag(context: Context, params: RagParams) -> Value:
    """Kept in this lab. Raises pipeline.errors.PipelineError."""
    from pipeline import documents, retrieval

    lab = context.lab
    if params.action == "add":
        return await _add(context, Path(params.path))
    if params.action == "remove":
        await asyncio.to_thread(documents.remove, lab, params.path)
        return {"removed": params.path, "summary": f"removed {inert(params.path)}; its file is kept"}
    if params.action in ("on", "off"):
        await asyncio.to_thread(retrieval.turn, lab, params.action == "on")
    state = "on" if await asyncio.to_thread(retrieval.is_on, lab) else "off"
    known = await asyncio.to_thread(documents.documents, lab)
    lines = [f"{document.source}  {document.passages:,} passages  {document.path}" for document in known]
    if params.action == "list":
        return {"documents": [d.source for d in known], "summary": "\n".join(lines) or "no document was added yet"}
    count = f"{len(known)} document{'' if len(known) == 1 else 's'}"
    return {"rag": state, "documents": [d.source for d in known], "summary": f"retrieval is {state}, with {count}"}


async def _add(context: Context, path: Path) -> Value:
    """Reads file after file in a thread, so that the screen stays free; then turns retrieval on."""
    from pipeline import documents, retrieval

    events = documents.add(context.lab, path)
    while (event := await asyncio.to_thread(_next, events)) is not None:
        if isinstance(event, Result):
            await asyncio.to_thread(retrieval.turn, context.lab, True)
            added, skipped = event.value["added"], event.value["skipped"]
            words = f"added {inert(', '.join(added[:8]))}{' …' if len(added) > 8 else ''}; retrieval is on"
            return {**event.value, "summary": words + (f"; skipped {len(skipped)}" if skipped else "")}
        await context.emit(event)
    raise PipelineError("rag add ended without a result: try it again")


def _next(events: Iterator[Event]) -> Event | None:
    return next(events, None)
