"""`jobs`: what runs and what ran. `jobs JOB`: what one of them said, and the end of its log."""

import asyncio
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.context import Context
from benlab_tui.errors import BadArgument
from benlab_tui.registry import Value, command
from pipeline import jobs as job_list
from simulator.events import Event, Failed, Note, Result
from simulator.private_files import regular

_LOG_BYTES = 4000
_SEARCHED = 1000


class JobsParams(BaseModel):
    """How many to list, or which to look into."""

    model_config = ConfigDict(extra="forbid")

    job: str = Field(default="", max_length=100, description="a job's id: its notes and the end of its log")
    limit: int = Field(default=10, ge=1, le=1000, description="how many, newest first")


@command(
    "jobs",
    "list the newest jobs and their state, or read one's notes and log",
    params=JobsParams,
    group="Lab",
    positional=("job",),
)
async def jobs(context: Context, params: JobsParams) -> Value:
    """A job that died without a word is shown as interrupted. Raises BadArgument for a job that is not there."""
    if params.job:
        return await asyncio.to_thread(_one, context, params.job)
    rows = await asyncio.to_thread(_rows, context, params.limit)
    lines = [f"{row['id']}  {row['state']:<12}{row['started']}  {row['error']}".rstrip() for row in rows]
    return {"jobs": rows, "summary": "\n".join(lines) or "no job has run in this lab yet"}


def _one(context: Context, name: str) -> Value:
    """State, notes, and the last lines of the log."""
    job = job_list.load(context.lab.runs / name) if Path(name).name == name else None
    if job is None:  # the end of one job's id will do
        ends = [other for other in job_list.find(context.lab, _SEARCHED) if other.id.endswith(name)]
        job = ends[0] if len(ends) == 1 else None
    if job is None:
        raise BadArgument(f"no job named {name!r}: `jobs` lists them")
    events = job_list.read_events(job.events_path)
    notes = [event.text for event in events if isinstance(event, Note)]
    log = _tail(job.log_path)
    last = job.last_event()
    result = last.value if isinstance(last, Result) else {}
    found = [f"{name}: {value}" for name, value in result.items() if isinstance(value, str | int | float)]
    trouble = [said] if (said := _trouble(last)) else []
    text = "\n".join([f"{job.id}  {job.state()}", *notes, *found, *trouble, f"log, {job.log_path}:", log or "(empty)"])
    value: Value = {"id": job.id, "kind": job.kind, "state": job.state(), "notes": notes, "log": log}
    return {**value, "result": result, "summary": text}


def _trouble(last: Event | None) -> str:
    """Why a job failed, or that what it was to check does not hold; "" for the others."""
    if isinstance(last, Failed):
        return last.error
    untrue = isinstance(last, Result) and last.value.get("ok") is False
    return "what it checked does not hold" if untrue else ""


def _tail(path: Path) -> str:
    try:
        with open(path, "rb", opener=regular) as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _LOG_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def _rows(context: Context, limit: int) -> list[dict[str, str]]:
    rows = []
    for job in job_list.find(context.lab, limit):
        last = job.last_event()
        started = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.started))
        row = {"id": job.id, "kind": job.kind, "state": job.state(), "started": started}
        rows.append({**row, "error": _trouble(last)})
    return rows
