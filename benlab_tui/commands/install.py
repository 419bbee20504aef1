"""`install`: ben-lab, embedded or in Ollama, with a receipt."""

import asyncio

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
    """A job: a failed receipt leaves the former ben-lab in place; one that scored no better is used after a yes."""
    value = await context.job("install", params)
    if value["warning"] and not value["current"] and context.interactive:
        from pipeline.install.versions import use

        if await context.confirm(f"{value['version']} is installed, but {value['warning']}. Use it all the same?"):
            await asyncio.to_thread(use, context.lab, value["version"])
            value["current"] = True
    return value
