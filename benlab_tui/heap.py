"""Keeps Python's garbage collector from holding the screen up.

A full collection over a loaded console takes 60 to 120 ms, and falls into the middle of a stream. While an answer comes
only young objects are looked at; what is there before and after is set aside (`gc.freeze`). Turns that leave the window
are circles of references: everything is looked through once in `EVERY` answers, between two of them.
"""

from __future__ import annotations

import gc

EVERY = 20
_NEVER = 1_000_000


def hold() -> None:
    """No collection until the first screen stands: a start makes much and throws little away."""
    gc.disable()


def release() -> None:
    """Collections from here on; what the start made stays for good and is not looked through again."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


class Heap:
    """Told when an answer begins and ends."""

    def __init__(self) -> None:
        self._answers = 0
        self._usual = gc.get_threshold()

    def __call__(self, busy: bool) -> None:
        """No full collection during an answer; after every twentieth one over all that there is."""
        young, middle, old = self._usual
        gc.set_threshold(young, middle, _NEVER if busy else old)
        self._answers += not busy
        if not busy and self._answers % EVERY == 0:
            gc.unfreeze()
            gc.collect()
        gc.freeze()
