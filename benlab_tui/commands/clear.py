"""`/clear`: empty this session."""

from __future__ import annotations

from typing import Any

from benlab_tui.registry import command


@command("clear", "remove all messages of this session", where="console", group="Chat")
async def clear(context: Any, params: object) -> None:
    """Asks first."""
    screen = context.screen
    if await context.confirm("Remove all messages of this session?"):
        screen.chats.forget_from(screen.session.id, 0)
        await screen.open_session(screen.session.id)
