"""`/copy`: the last answer to the clipboard."""

from __future__ import annotations

from typing import Any

from benlab_tui.errors import BadArgument
from benlab_tui.registry import Value, command


@command("copy", "copy the last answer to the clipboard", where="console", group="Chat")
async def copy(context: Any, params: object) -> Value:
    """Raises BadArgument where there is no answer."""
    screen = context.screen
    answers = [m for m in screen.stored(1000) if m.role == "assistant"]
    if not answers:
        raise BadArgument("there is no answer to copy yet: ask something first")
    screen.app.copy_to_clipboard(answers[-1].content)
    return {"summary": f"copied {len(answers[-1].content):,} characters"}
