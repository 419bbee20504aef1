"""`/quit`: close the console."""

from __future__ import annotations

from typing import Any

from benlab_tui.registry import command


@command("quit", "close the console; jobs go on and are found again", where="console", group="Console")
async def close_console(context: Any, params: object) -> None:
    """Ends the app."""
    context.quit()
