"""`generate`: experiments into training data."""

from benlab_tui.context import Context
from benlab_tui.registry import Value, command
from pipeline.data.params import GenerateParams


def _recipes() -> list[str]:
    from pipeline.data.recipes import shipped

    return ["recipes, whose counts hold where no option is given:", *(f"  {k}: {v}" for k, v in shipped().items())]


@command(
    "generate",
    "turn experiments into training data (data/lab_instructions.jsonl)",
    params=GenerateParams,
    group="Model",
    notes=_recipes,
    examples=("generate", "generate seed=7", "generate guide_only=yes"),
)
async def generate(context: Context, params: GenerateParams) -> Value:
    """A job: writes the training file, its validation file and its manifest."""
    return await context.job("generate", params)
