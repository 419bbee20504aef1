"""`python -m pipeline STAGE --lab DIR --params JSON`: one stage, one JSON event a line on stdout.

Exit codes: 0 done, 1 failed, 2 bad parameters, 130 cancelled (SIGINT or SIGTERM).
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType

from pipeline import jobs
from pipeline.errors import BadInput, Interrupted, PipelineError
from pipeline.lab import Lab, find_lab
from pipeline.stages import stage
from simulator.errors import BadParameter, SimulatorError, UnknownName
from simulator.events import Event, Failed, Result, to_line
from simulator.masking import mask_addresses
from simulator.private_files import UMASK


def run_stage(lab: Lab, name: str, params: dict[str, object]) -> Iterator[Event]:
    """The stage's events; wrong parameters raise BadInput before any work."""
    from simulator import validate

    chosen = stage(name)
    try:
        checked = validate(chosen.params_model(), params)
    except BadParameter as error:
        raise BadInput(str(error)) from error
    yield from chosen.runner()(lab, checked)


def _cancel(_signal: int, _frame: FrameType | None) -> None:
    raise Interrupted("cancelled")


class _Events:
    """The event lines' own stream: fd 1 is handed to it, and prints of libraries go to stderr instead."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        os.dup2(2, 1)

    def write(self, event: Event) -> None:
        """A full disk costs no work: the line waits in the buffer and is tried again with the next one."""
        try:
            self._stream.write(to_line(event) + "\n")
            self._stream.flush()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise


def main(arguments: list[str] | None = None) -> int:
    """Runs the stage that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m pipeline")
    parser.add_argument("stage")
    parser.add_argument("--lab", default=None)
    parser.add_argument("--params", default="{}")
    options = parser.parse_args(arguments)
    os.umask(UMASK)
    events = _Events()
    signal.signal(signal.SIGTERM, _cancel)
    signal.signal(signal.SIGINT, _cancel)
    try:
        finished = False
        for event in run_stage(find_lab(options.lab), options.stage, _params(options.params)):
            events.write(event)
            finished = isinstance(event, Result)
        if not finished:
            raise PipelineError(f"{options.stage} ended without a result: see job.log in its run folder")
        return 0
    except (Interrupted, KeyboardInterrupt):
        events.write(Failed(f"{options.stage} was cancelled", "Interrupted"))
        return 130
    except (BadInput, BadParameter, UnknownName) as error:
        events.write(Failed(str(error), type(error).__name__))
        return 2
    except (PipelineError, SimulatorError) as error:
        events.write(Failed(str(error), type(error).__name__))
        return 1
    except Exception as error:
        return _crashed(events, options.stage, error)


def _crashed(events: _Events, name: str, error: Exception) -> int:
    """A fault of ours or of a library: the traceback goes to the log, one sentence to the person."""
    import traceback

    with suppress(OSError):  # the log may be on a full disk
        sys.stderr.write(mask_addresses(traceback.format_exc()))
    text = " ".join(str(error).split())[:300]
    events.write(Failed(f"{name} stopped on {type(error).__name__}: {text} (job.log has the details)", "Crash"))
    return 1


def _params(text: str) -> dict[str, object]:
    """The command line's parameters with those that the parent kept out of it."""
    return {**_object(text), **_object(os.environ.pop(jobs.SECRETS, "{}"))}


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"--params is not JSON ({error}): give an object such as '{{}}'") from error
    if not isinstance(value, dict):
        raise BadInput(f"--params is a {type(value).__name__}: give a JSON object such as '{{}}'")
    return value


if __name__ == "__main__":
    sys.exit(main())
