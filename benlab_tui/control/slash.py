"""Runs a slash line: finds the command, checks its parameters, shows what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benlab_tui import arguments, registry
from benlab_tui.control.context import ConsoleContext
from benlab_tui.crash_log import unforeseen
from benlab_tui.errors import Cancelled, ConsoleError
from benlab_tui.plain_text import as_text
from benlab_tui.trusting import with_trust
from pipeline.errors import PipelineError
from simulator.errors import SimulatorError

if TYPE_CHECKING:
    from benlab_tui.screens.sending import Sending

_MODEL_CHANGES = {"install", "use", "rollback", "remove", "pull", "loop"}
"""After these another model may answer, so the engine is opened anew."""


async def run_line(screen: Sending, line: str) -> None:
    """Runs one line; whatever is wrong becomes one sentence in the transcript."""
    words = arguments.split(line.strip()[1:])
    context = ConsoleContext(screen, words[0] if words else "")
    try:
        if not words:
            raise ConsoleError("a slash alone is no command: type a name after it, or /help")
        command = registry.find(words[0], "console")
        variant, params = arguments.parse(command, words[1:])

        async def run() -> Any:
            return await command.run(context, (variant, params) if variant else params)

        value = await with_trust(screen.lab, screen.ask, run)
        text = await context.finish()
        await _show(screen, text, value or {})
    except Cancelled as error:
        await context.finish()
        await screen.note(str(error))
    except (ConsoleError, PipelineError, SimulatorError) as error:
        await context.finish()
        await screen.error(str(error))
    except Exception as error:
        await context.finish()
        await screen.error(unforeseen(screen.lab, f"/{context.name}", error))
    if context.name in _MODEL_CHANGES:
        await screen.reopen_engine()
    screen.refresh_lab()


async def _show(screen: Sending, written: str, value: dict[str, Any]) -> None:
    """An experiment is a card; anything else its own text, unless the command wrote one."""
    if "experiment_id" in value and "params" in value:
        await screen.show_experiment(value)
    elif written:
        screen.keep("assistant", written, kind="command")
    elif value:
        await screen.answer(as_text(value))
