"""`bases`: the base models that are known and which of them are here."""

import asyncio

from benlab_tui.context import Context
from benlab_tui.registry import Value, command


@command("bases", "list base models: licence, size, source, and whether they are here", group="Model")
async def bases(context: Context, params: object) -> Value:
    """One row a base."""
    from pipeline.bases.listing import list_bases

    return await asyncio.to_thread(list_bases, context.lab)
