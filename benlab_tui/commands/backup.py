"""`backup FILE`: the lab as one archive."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.context import Context
from benlab_tui.registry import Value, command


class BackupParams(BaseModel):
    """Where to, and whether with bases."""

    model_config = ConfigDict(extra="forbid")

    file: str = Field(min_length=1, max_length=1000, description="the archive to write", examples=["~/lab.tar.gz"])
    bases: bool = Field(default=False, description="with the base models too; `pull` can fetch them again")
    force: bool = Field(default=False, description="replace an archive of that name")


@command(
    "backup",
    "write the lab folder to one archive",
    params=BackupParams,
    positional=("file",),
    examples=("backup ~/lab.tar.gz",),
)
async def backup(context: Context, params: BackupParams) -> Value:
    """Raises BadInput where the file is there already, LabError where the disk refuses or lab.db is damaged."""
    from pipeline.backup import backup as write
    from simulator.events import last_result

    file = Path(params.file)
    return await asyncio.to_thread(lambda: last_result(write(context.lab, file, params.bases, params.force)))
