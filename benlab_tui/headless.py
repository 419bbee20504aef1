"""Commands without a screen: events to the terminal, or as JSON lines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from benlab_tui import arguments, registry
from benlab_tui.errors import BadArgument, Cancelled, ConsoleError, Declined, UnknownCommand
from benlab_tui.headless_context import HeadlessContext
from benlab_tui.options import Options
from benlab_tui.terminal import err, out, out_event
from benlab_tui.trusting import with_trust
from pipeline.errors import BadInput, Interrupted, PipelineError
from pipeline.lab import Lab, find_lab, lab_folder
from simulator.errors import BadParameter, SimulatorError, UnknownName
from simulator.events import Failed, Result

if TYPE_CHECKING:
    from benlab_tui.registry import Command, Value

_USAGE_ERRORS = (BadArgument, UnknownCommand, BadInput, BadParameter, UnknownName)
_KNOWN_ERRORS = (ConsoleError, PipelineError, SimulatorError)


def run_command(options: Options) -> int:
    """Runs the command that the words name and returns its exit code."""
    try:
        if options.help or not options.words:
            return _help(options)
        command = registry.find(options.words[0], "headless")
        variant, params = arguments.parse(command, options.words[1:])
        context = HeadlessContext(_lab(command, options), as_json=options.json, yes=options.yes)
        value = asyncio.run(_run(command, context, (variant, params) if variant else params))
        return 0 if command.streams else _finish(options, context, value)
    except (Cancelled, Interrupted, KeyboardInterrupt):
        return _fail(options, "cancelled", "Interrupted", 130)
    except Declined as error:
        return _fail(options, str(error), "Declined", 1)
    except _USAGE_ERRORS as error:
        return _fail(options, str(error), type(error).__name__, 2)
    except _KNOWN_ERRORS as error:
        return _fail(options, str(error), type(error).__name__, 1)
    except OSError:
        raise
    except Exception as error:
        # A fault of ours or of a library: one sentence for the person, the traceback for who asks for it.
        if os.environ.get("BENLAB_DEBUG"):
            raise
        text = " ".join(str(error).split())[:300]
        said = f"{options.words[0]} stopped on {type(error).__name__}: {text} (BENLAB_DEBUG=1 shows where)"
        return _fail(options, said, "Crash", 1)


def _lab(command: Command, options: Options) -> Lab:
    """The lab to work in; `restore` makes its folder itself, so that a refused archive leaves none. Raises LabError."""
    return Lab(lab_folder(options.lab)) if command.name == "restore" else find_lab(options.lab)


async def _run(command: Command, context: HeadlessContext, params: Any) -> Value:
    """The command as a task that SIGINT, SIGTERM and SIGHUP cancel."""

    async def run() -> Value | None:
        return await command.run(context, params)

    # A general --yes answers what the command asks, and not whether a folder is to be trusted.
    ask = context.confirm if context.interactive and not context.yes else None
    task = asyncio.ensure_future(with_trust(context.lab, ask, run))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with contextlib.suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(number, task.cancel)
    try:
        return await task or {}
    except asyncio.CancelledError as error:
        raise Cancelled("cancelled") from error
    finally:
        context.close()


def _finish(options: Options, context: HeadlessContext, value: Value) -> int:
    if options.json:
        out_event(Result(value))
    elif not context.wrote:
        from benlab_tui.plain_text import as_text

        out(as_text(value) + "\n")
        if "experiment_id" in value and "features" not in value and "text" not in value:
            out(f"  id {value['experiment_id']} (`benlab notebook ID` shows all of it)\n")
    sys.stdout.flush()
    return 1 if value.get("ok") is False else 0


def _fail(options: Options, error: str, kind: str, code: int) -> int:
    if options.json:
        out_event(Failed(error, kind))
    else:
        err(f"benlab: {error}\n")
    return code


def _help(options: Options) -> int:
    from benlab_tui.help import command_help, overview

    if options.words and options.words[0] != "help":
        command = registry.find(options.words[0], "headless")
        text = command_help(command, options.words[1:], slash=False)
    else:
        text = overview(slash=False)
    if options.json:
        out_event(Result({"text": text}))
    else:
        out(text + "\n")
    return 0
