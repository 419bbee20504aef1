"""`/new`: an empty session."""

from __future__ import annotations

from typing import Any

from benlab_tui.registry import command


@command("new", "start a new session; the former one is kept", where="console", group="Chat")
async def new(context: Any, params: object) -> None:
    """The same as ctrl+n."""
    await context.screen.new_session()
