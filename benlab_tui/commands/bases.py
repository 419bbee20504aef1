"""`bases`: the base models that are known and which of them are here."""

import asyncio
from typing import Any

from benlab_tui.context import Context
from benlab_tui.registry import Value, command


@command("bases", "list base models: licence, size, source, and whether they are here", group="Model")
async def bases(context: Context, params: object) -> Value:
    """One row a base; ● marks those that are here."""
    from pipeline.bases.listing import listing

    rows = await asyncio.to_thread(listing, context.lab)
    head = f"  {'name':<18}{'size':>10}  {'licence':<28}from"
    lines = [head, *map(_line, rows), "● is here; `pull NAME` fetches another"]
    return {"bases": rows, "summary": "\n".join(lines)}


def _line(row: dict[str, Any]) -> str:
    size = f"{row['size'] / 1e6:,.0f} MB" if row["size"] else "?"
    gated = " (licence to accept on the hub, and HF_TOKEN)" if row["gated"] and not row["here"] else ""
    start = f"{'●' if row['here'] else ' '} {row['name']:<18}{size:>10}  {row['licence']:<28}"
    return f"{start}{', '.join(row['sources'])}{gated}"
