"""`rerun`: the experiments of earlier physics versions, once more."""

from benlab_tui.context import Context
from benlab_tui.registry import Value, command
from pipeline.upgrade import RerunParams


@command(
    "rerun",
    "run the experiments of earlier physics versions again; the old results are kept",
    params=RerunParams,
    group="Lab",
    examples=("rerun",),
)
async def rerun(context: Context, params: RerunParams) -> Value:
    """A job: it goes through the notebook."""
    return await context.job("rerun", params)
