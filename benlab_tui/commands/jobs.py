"""`jobs`: what runs and what ran."""

import asyncio
import time

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.context import Context
from benlab_tui.registry import Value, command
from pipeline import jobs as job_list
from simulator.events import Failed


class JobsParams(BaseModel):
    """How many to list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=10, ge=1, le=1000, description="how many, newest first")


@command("jobs", "list the newest jobs and their state", params=JobsParams, group="Lab")
async def jobs(context: Context, params: JobsParams) -> Value:
    """A job that died without a word is shown as interrupted."""
    rows = await asyncio.to_thread(_rows, context, params.limit)
    lines = [f"{row['id']}  {row['state']:<12}{row['started']}  {row['error']}".rstrip() for row in rows]
    return {"jobs": rows, "summary": "\n".join(lines) or "no job has run in this lab yet"}


def _rows(context: Context, limit: int) -> list[dict[str, str]]:
    rows = []
    for job in job_list.find(context.lab, limit):
        last = job.last_event()
        started = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.started))
        error = last.error if isinstance(last, Failed) else ""
        rows.append({"id": job.id, "kind": job.kind, "state": job.state(), "started": started, "error": error})
    return rows
