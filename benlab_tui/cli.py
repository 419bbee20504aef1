"""`benlab`: the console, or with a command's name that command without a screen.

Exit codes: 0 done, 1 failed, 2 bad usage, 130 cancelled.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn

from benlab_tui.options import Options, Usage, read_options

_USAGE = "benlab [--lab DIR] [COMMAND …] [--json] [--yes]"


def main(arguments: list[str] | None = None) -> int:
    """The command line. Heavy imports wait until a command needs them."""
    words = sys.argv[1:] if arguments is None else arguments
    _open_closed_streams()
    if words[:1] == ["--version"]:
        from benlab_tui import __version__

        sys.stdout.write(f"benlab {__version__}\n")
        return 0
    _leave_current_folder()
    os.umask(0o077)  # what this process and its children write is its owner's alone
    try:
        options = read_options(words)
    except Usage as error:
        _say(f"benlab: {error}\n")
        return 2
    try:
        if not options.words and not options.help:
            return _open_console(options)
        from benlab_tui.headless import run_command

        return run_command(options)
    except BrokenPipeError:
        _silence_stdout()
        return 1
    except OSError as error:
        # Standard output is full (`>/dev/full`) or was taken away; every other OSError has been put in words before.
        _silence_stdout()
        _complain(f"the output could not be written ({error.strerror or error}): give it a place to go")
        return 1


def _open_console(options: Options) -> int:
    if options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        _say(f"the console needs a terminal: run a command instead, as in {_USAGE}; benlab help lists them\n")
        return 2
    from pipeline.errors import LabError
    from pipeline.lab import find_lab

    try:
        lab = find_lab(options.lab)
    except LabError as error:
        _say(f"benlab: {error}\n")
        return 1
    from benlab_tui.heap import hold

    hold()
    from benlab_tui.app import run_console

    return run_console(lab)


def _leave_current_folder() -> None:
    """Take the current folder off the path, where an empty or relative entry of PYTHONPATH has put it.

    A person's own pipeline.py is not ours. `simulator.python_child` does the same for every child.
    """
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    with suppress(OSError):  # the current folder was removed
        here = os.getcwd()  # noqa: PTH109
        sys.path[:] = [entry for entry in sys.path if entry == source or entry not in ("", here)]


def _open_closed_streams() -> None:
    """Started with a closed stream (`>&-`), Python has None in its place: what is written then goes nowhere."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115, PTH123


def _say(text: str) -> None:
    from benlab_tui.terminal import err

    err(text)


def _complain(text: str) -> None:
    with suppress(OSError, ValueError):
        _say(f"benlab: {text}\n")


def _silence_stdout() -> None:
    """A reader that went away (`| head`) is no error: later writes go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def run() -> NoReturn:
    """The entry point of `python -m benlab_tui`."""
    raise SystemExit(main())
