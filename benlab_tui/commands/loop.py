"""`loop`: experiments → data → train → evaluate → export → install → one question."""

from benlab_tui.context import Context
from benlab_tui.registry import Value, command
from pipeline.loop.params import LoopParams


@command(
    "loop",
    "the whole loop, from experiments to an answer of ben-lab",
    params=LoopParams,
    group="Model",
    examples=("loop quick=yes",),
)
async def loop(context: Context, params: LoopParams) -> Value:
    """A job: every stage in one child."""
    return await context.job("loop", params)
