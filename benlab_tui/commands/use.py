"""`use VERSION`: which version of ben-lab answers."""

import asyncio

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.context import Context
from benlab_tui.registry import Value, command


class UseParams(BaseModel):
    """Which version."""

    model_config = ConfigDict(extra="forbid")

    version: str = Field(min_length=1, max_length=200, description="a version of `models`, or the end of its name")


@command("use", "make that version of ben-lab answer", params=UseParams, positional=("version",), group="Model")
async def use(context: Context, params: UseParams) -> Value:
    """Raises pipeline.errors.InstallError; the former version then still answers."""
    from pipeline.install.versions import lagging, use

    chosen = await asyncio.to_thread(use, context.lab, params.version)
    notes = lagging(context.lab)
    return {"version": chosen.version, "notes": notes, "summary": "\n".join([f"{chosen.version} answers now", *notes])}
