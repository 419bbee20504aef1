"""`rollback`: the version of ben-lab before the one in use."""

import asyncio

from benlab_tui.context import Context
from benlab_tui.registry import Value, command


@command("rollback", "make the version before the one in use answer", group="Model")
async def rollback(context: Context, params: object) -> Value:
    """Raises pipeline.errors.InstallError where there is none."""
    from pipeline.install.versions import lagging, rollback

    chosen = await asyncio.to_thread(rollback, context.lab)
    notes = lagging(context.lab)
    summary = "\n".join([f"{chosen.version} answers again", *notes])
    return {"version": chosen.version, "notes": notes, "summary": summary}
