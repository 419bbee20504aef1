"""`disk`: what the lab takes, and what can go."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.context import Context
from benlab_tui.registry import Value, command


class DiskParams(BaseModel):
    """Whether to clean."""

    model_config = ConfigDict(extra="forbid")

    clean: bool = Field(default=False, description="remove checkpoints of ended runs and cut-off writes, after a yes")


@command(
    "disk", "show what the lab takes on the disk; clean=yes makes room", params=DiskParams, examples=("disk clean=yes",)
)
async def disk(context: Context, params: DiskParams) -> Value:
    """Nothing goes without a yes."""
    from pipeline import disk as parts

    sizes = await asyncio.to_thread(parts.usage, context.lab)
    spare = await asyncio.to_thread(parts.removable, context.lab)
    total, room = sum(part.size for part in sizes), sum(item.size for item in spare)
    lines = [f"{part.size / 1e6:>10,.1f} MB  {part.name}" for part in sizes[:12]]
    lines += [f"{total / 1e6:>10,.1f} MB  together", f"{room / 1e6:>10,.1f} MB  could go (clean=yes)"]
    value: Value = {
        "parts": [{"name": p.name, "bytes": p.size} for p in sizes],
        "bytes": total,
        "removable_bytes": room,
    }
    if params.clean and spare:
        what = "\n".join(f"{item.path.name}: {item.why}" for item in spare[:10])
        if await context.confirm(f"Remove {len(spare)} items, {room / 1e6:,.1f} MB?\n{what}"):
            value["freed_bytes"] = await asyncio.to_thread(parts.clean, context.lab)
            lines.append(f"{value['freed_bytes'] / 1e6:>10,.1f} MB  came free")
    return {**value, "summary": "\n".join(lines)}
