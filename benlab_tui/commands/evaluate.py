"""`eval`: base and tuned on the same questions, graded by the simulator."""

from benlab_tui.context import Context
from benlab_tui.registry import Value, command
from pipeline.evaluate.params import EvalParams


@command(
    "eval",
    "score base and tuned on questions that the simulator grades",
    params=EvalParams,
    group="Model",
    examples=("eval",),
)
async def evaluate(context: Context, params: EvalParams) -> Value:
    """A job: its report lies in its run folder."""
    return await context.job("eval", params)
