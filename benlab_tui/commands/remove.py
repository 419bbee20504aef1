"""`remove VERSION`: delete an installed version."""

import asyncio

from benlab_tui.commands.use import UseParams
from benlab_tui.context import Context
from benlab_tui.errors import Declined
from benlab_tui.registry import Value, command


@command("remove", "delete an installed version of ben-lab", params=UseParams, positional=("version",), group="Model")
async def remove(context: Context, params: UseParams) -> Value:
    """Asks first. Raises Declined, and pipeline.errors.InstallError for the version in use."""
    from pipeline.install.registry import Registry
    from pipeline.install.versions import remove

    await asyncio.to_thread(Registry(context.lab).named, params.version)
    if not await context.confirm(f"Delete {params.version} from this lab?"):
        raise Declined(f"{params.version} was kept")
    gone = await asyncio.to_thread(remove, context.lab, params.version)
    return {"version": gone.version, "summary": f"{gone.version} was deleted"}
