"""`pull BASE`: fetch a base model into the lab."""

from benlab_tui.context import Context
from benlab_tui.registry import Value, command
from pipeline.bases.params import PullParams


@command(
    "pull",
    "fetch a base model",
    params=PullParams,
    positional=("base",),
    group="Model",
    examples=("pull smollm2", "pull ./my-base.gguf"),
)
async def pull(context: Context, params: PullParams) -> Value:
    """A job: the base lies under models/bases/ when it ends."""
    return await context.job("pull", params)
