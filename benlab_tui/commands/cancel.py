"""`cancel JOB`: end a job."""

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.context import Context
from benlab_tui.errors import BadArgument
from benlab_tui.registry import Value, command
from pipeline import jobs
from pipeline.lab import Lab


class CancelParams(BaseModel):
    """Which job."""

    model_config = ConfigDict(extra="forbid")

    job: str = Field(default="", max_length=100, description="the job's id; the newest that runs where it is left out")


@command("cancel", "cancel the newest running job, or the one named", params=CancelParams, positional=("job",))
async def cancel(context: Context, params: CancelParams) -> Value:
    """Raises BadArgument where no such job runs."""
    running = [job for job in jobs.find(context.lab) if job.state() == "running"]
    chosen = [job for job in running if params.job in ("", job.id)]
    if not chosen:
        known = ", ".join(job.id for job in running)
        raise BadArgument(f"no job named {params.job!r} runs: these do: {known}" if known else "no job runs now")
    await jobs.cancel(chosen[0])
    return {"cancelled": chosen[0].id, "summary": f"{chosen[0].id} was cancelled{going_on(context.lab, chosen[0].id)}"}


def going_on(lab: Lab, job: str) -> str:
    """How to go on with a cancelled training, where it has left a checkpoint; else nothing."""
    from pipeline.train.stage import resumable

    if not resumable(lab.runs / job):
        return ""
    return f"; `benlab train resume=yes resume_run={job}` goes on from its last checkpoint"
