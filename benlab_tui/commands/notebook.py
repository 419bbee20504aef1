"""`notebook [ID]`: the newest experiments of this lab, or all that one of them found."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.context import Context
from benlab_tui.registry import Value, command
from benlab_tui.text import one_line

_LONGEST = 4000
"""Characters of one value's line."""


class NotebookParams(BaseModel):
    """Which experiment, or how many of the newest."""

    model_config = ConfigDict(extra="forbid")

    experiment_id: str = Field(default="", max_length=80, description="an experiment's id: all that it found")
    limit: int = Field(default=10, ge=1, le=1000, description="how many, newest first")


@command(
    "notebook",
    "list the newest experiments, or show all that one of them found",
    params=NotebookParams,
    positional=("experiment_id",),
    group="Lab",
    examples=("notebook", "notebook limit=50"),
)
async def notebook(context: Context, params: NotebookParams) -> Value:
    """Raises UnknownExperiment where none has that id."""
    return await asyncio.to_thread(_read, context.lab, params)


def _read(lab: Any, params: NotebookParams) -> Value:
    with lab.notebook() as kept:
        if params.experiment_id:
            return _whole(kept.get(params.experiment_id))
        rows = [_row(result) for result in kept.recent(params.limit)]
    lines = [f"{row['id']}  {row['experiment']:<14}{row['summary']}" for row in rows]
    return {"experiments": rows, "summary": "\n".join(lines) or "no experiment has run in this lab yet"}


def _row(result: dict[str, Any]) -> dict[str, str]:
    summary = one_line(str(result.get("summary", "")), 120)
    return {"id": result["experiment_id"], "experiment": str(result.get("experiment", "")), "summary": summary}


def _whole(result: dict[str, Any]) -> Value:
    """The result with its text: its summary, then a line a value."""
    from benlab_tui.plain_text import as_text, plain

    if isinstance(result.get("features"), dict):
        return result
    values = {name: value for name, value in result.items() if name != "summary"}
    return {**result, "text": f"{as_text(result)}\n{plain(values, _LONGEST)}"}
