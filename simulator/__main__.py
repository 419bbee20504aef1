"""`python -m simulator EXPERIMENT [--lab DIR] [--params JSON]`: one JSON event a line on stdout.

Exit codes: 0 done, 1 failed, 2 bad usage, 130 cancelled.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from simulator.catalogue import EXPERIMENTS
from simulator.errors import BadParameter, SimulatorError, UnknownName
from simulator.events import Event, Failed, to_line
from simulator.notebook import Notebook
from simulator.private_files import UMASK
from simulator.runner import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one experiment and prints its events; a failure is an event too."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("experiment", help=f"one of {', '.join(EXPERIMENTS)}")
    parser.add_argument("--lab", type=Path, default=None, help="lab folder whose lab.db keeps the results")
    parser.add_argument("--params", default="{}", help="parameters as one JSON object")
    options = parser.parse_args(arguments)
    os.umask(UMASK)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        params = _parameters(options.params)
        notebook = Notebook(options.lab / "lab.db") if options.lab else None
        for event in run(options.experiment, params, notebook=notebook):
            _print(event)
    except (BadParameter, UnknownName) as error:
        return _fail(error, 2)
    except SimulatorError as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        _print(Failed(f"{options.experiment} was cancelled: run it again to go on", "Interrupted"))
        return 130
    except BrokenPipeError:
        # Whoever read the events is gone: nobody is left to be told, and the work is not wanted.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
        return 1
    except MemoryError:
        _print(Failed(f"{options.experiment} needs more memory than there is: choose a smaller size", "MemoryError"))
        return 1
    return 0


def _parameters(text: str) -> dict[str, object]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadParameter(f"--params is no JSON ({error}): give one object such as '{{\"seed\": 3}}'") from None
    if not isinstance(values, dict):
        raise BadParameter(f"--params is a {type(values).__name__}: give one JSON object such as '{{\"seed\": 3}}'")
    return values


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _print(event: Event) -> None:
    sys.stdout.write(to_line(event) + "\n")
    sys.stdout.flush()


def _fail(error: SimulatorError, code: int) -> int:
    _print(Failed(str(error), type(error).__name__))
    return code


if __name__ == "__main__":
    sys.exit(main())
