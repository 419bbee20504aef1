"""Faults that nobody foresaw: one sentence for the person, and the traceback in the lab's console.log."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from benlab_tui.text import inert, one_line

if TYPE_CHECKING:
    from pipeline.lab import Lab

FILE = "console.log"
_LARGEST = 1_000_000
_LONGEST = 20_000


def unforeseen(lab: Lab, what: str, error: BaseException) -> str:
    """Log the traceback and return one sentence that says what stopped, on which error, and where the details are."""
    import traceback

    with contextlib.suppress(OSError):
        _append(lab, inert("".join(traceback.format_exception(error))[-_LONGEST:]))
    return f"{what} stopped on {type(error).__name__}: {_words(error)} ({FILE} in the lab folder has the details)"


def _words(error: BaseException) -> str:
    """The error's own text; an error may fail to say what it is."""
    try:
        return one_line(str(error), 200) or "no reason given"
    except Exception:
        return "no reason given"


def _append(lab: Lab, text: str) -> None:
    """Add to the log, which begins again once it is full."""
    import time

    path = lab.root / FILE
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path, flags, 0o600)
    try:
        if os.fstat(handle).st_size > _LARGEST:
            os.ftruncate(handle, 0)
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{text}\n"
        os.write(handle, line.encode("utf-8", "replace"))
    finally:
        os.close(handle)
