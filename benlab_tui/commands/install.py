"""`install`: ben-lab, embedded or in Ollama, with a receipt."""

from benlab_tui.context import Context
from benlab_tui.registry import Value, command
from pipeline.install.params import InstallParams


@command(
    "install",
    "install ben-lab, embedded or in Ollama, with a receipt",
    params=InstallParams,
    group="Model",
    examples=("install", "install target=ollama"),
)
async def install(context: Context, params: InstallParams) -> Value:
    """A job: a failed receipt leaves the former ben-lab in place."""
    return await context.job("install", params)
