"""`restore FILE --lab DIR`: a lab from its archive."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.context import Context
from benlab_tui.registry import Value, command


class RestoreParams(BaseModel):
    """Which archive."""

    model_config = ConfigDict(extra="forbid")

    file: str = Field(min_length=1, max_length=1000, description="an archive that `benlab backup` wrote")


@command(
    "restore",
    "unpack a backup into a new lab folder (--lab DIR)",
    params=RestoreParams,
    positional=("file",),
    where="headless",
    examples=("restore ~/lab.tar.gz --lab ~/restored",),
)
async def restore(context: Context, params: RestoreParams) -> Value:
    """Raises BadInput where the folder is not empty, LabError where the archive is broken."""
    from pipeline.backup import restore as unpack
    from simulator.events import last_result

    return await asyncio.to_thread(lambda: last_result(unpack(Path(params.file), context.lab.root)))
