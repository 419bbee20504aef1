"""`doctor`: what is here, what is missing, and the command that mends it."""

import asyncio

from benlab_tui.context import Context
from benlab_tui.registry import Value, command

_MARKS = {"ok": "✓", "missing": "✗", "warning": "!"}


@command("doctor", "say what is here, what is missing, and what mends it", group="Lab")
async def doctor(context: Context, params: object) -> Value:
    """`missing` names what chat or training cannot do without."""
    from pipeline.doctor import examine

    checks = await asyncio.to_thread(examine, context.lab)
    lines = [f"{_MARKS[c.state]} {c.name:<12} {c.detail}" + (f"\n{'':15}→ {c.mend}" if c.mend else "") for c in checks]
    missing = [c.name for c in checks if c.state == "missing"]
    lines.append("" if not missing else f"\nmissing: {', '.join(missing)}")
    rows = [{"name": c.name, "state": c.state, "detail": c.detail, "mend": c.mend} for c in checks]
    return {"checks": rows, "missing": missing, "summary": "\n".join(lines).rstrip()}
