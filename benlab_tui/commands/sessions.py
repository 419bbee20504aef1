"""`/sessions`: earlier sessions."""

from __future__ import annotations

from typing import Any

from benlab_tui.registry import command


@command("sessions", "find, resume, rename or delete earlier sessions", where="console", group="Chat")
async def sessions(context: Any, params: object) -> None:
    """The same as F3."""
    context.screen.action_sessions()
