"""A worker process: `python -m simulator.worker` reads requests and writes their results, a JSON line each.

A list is a chunk of `run_phase` parameters, an object (`experiment`, `params`) one experiment of any kind.

It speaks over its own pipes, so the program that uses it needs no `__main__` guard, and
it ends by itself when that program is gone: its input is then at an end.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def measure_chunk(params: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The `run_phase` results of one chunk. Imported by name where a cluster runs it."""
    from simulator.batch import run_many

    return run_many(params)


def answer(request: Any) -> Any:
    """The results of a chunk, or the result of one experiment."""
    if isinstance(request, list):
        return measure_chunk(request)
    from simulator.events import last_result
    from simulator.runner import run

    return last_result(run(request["experiment"], request["params"]))


def main() -> int:
    """Serves requests until its input ends."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line)), allow_nan=False) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)
