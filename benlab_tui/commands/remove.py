"""`remove VERSION`: delete an installed version."""

import asyncio

from benlab_tui.commands.use import UseParams
from benlab_tui.context import Context
from benlab_tui.errors import Declined
from benlab_tui.registry import Value, command


@command("remove", "delete an installed version of ben-lab", params=UseParams, positional=("version",), group="Model")
async def remove(context: Context, params: UseParams) -> Value:
    """Asks first. Raises Declined, and pipeline.errors.InstallError for the version in use while there are others."""
    from pipeline.install.registry import Registry
    from pipeline.install.versions import lagging, remove

    registry = Registry(context.lab)
    chosen = await asyncio.to_thread(registry.named, params.version)
    places = ["this lab", *(str(server["host"]) for server in chosen.servers)]
    last = len(registry.versions()) == 1
    after = " It is the only one: the base answers afterwards." if last else ""
    if not await context.confirm(f"Delete {chosen.version} from {' and '.join(places)}?{after}"):
        raise Declined(f"{chosen.version} was kept")
    gone = await asyncio.to_thread(remove, context.lab, chosen.version)
    notes = lagging(context.lab)
    first = f"{gone.version} was deleted{', the base answers now' if last else ''}"
    return {"version": gone.version, "notes": notes, "summary": "\n".join([first, *notes])}
