"""A console that a server started ends with that server, however the server ended."""

from __future__ import annotations

import os
import select
import signal
import threading
import time

_GRACE = 5.0


def end_with(process: int) -> None:
    """End this process once that one has: first as if asked to close, which keeps what an answer has come to."""
    threading.Thread(target=_watch, args=(process,), name="parent", daemon=True).start()


def _watch(process: int) -> None:
    try:
        # Linux: a handle of that very process, which no later one of its number can take.
        select.select([os.pidfd_open(process)], [], [])
    except (AttributeError, OSError):
        while _lives(process):
            time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(1)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
