"""`/why`: where the last answer comes from."""

from __future__ import annotations

from typing import Any

from benlab_tui.registry import command


@command("why", "open the training examples, run and version behind the last answer", where="console", group="Chat")
async def why(context: Any, params: object) -> None:
    """The same as `w` on an answer."""
    from benlab_tui.control.insight import why as open_why
    from benlab_tui.widgets.turns import ReplyTurn

    answers = [turn for turn in context.screen.query(ReplyTurn) if turn.message_id is not None]
    await open_why(context.screen, answers[-1] if answers else None)
