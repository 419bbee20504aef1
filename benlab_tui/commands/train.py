"""`train`: LoRA-fine-tune the base on the data."""

from benlab_tui.context import Context
from benlab_tui.registry import Value, command
from pipeline.train.params import TrainParams, load_recipe, recipe_names


def _recipes() -> list[str]:
    return ["what is not given comes from the recipe:", *(f"  {name}: {load_recipe(name)}" for name in recipe_names())]


@command(
    "train",
    "LoRA-fine-tune the base on the data (ben-lab-lora/)",
    params=TrainParams,
    group="Model",
    notes=_recipes,
    examples=("train", "train recipe=smollm2-quick", "train epochs=3"),
)
async def train(context: Context, params: TrainParams) -> Value:
    """A job that outlives the console."""
    return await context.job("train", params)
