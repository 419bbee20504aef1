"""One install at a time in a lab, and what a killed one left is gone before the next begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.files import remove_leftovers
from pipeline.install.ollama import MERGED
from pipeline.install.registry import Registry
from simulator.private_files import opener, private_folder

if TYPE_CHECKING:
    from pipeline.lab import Lab

_POLL_SECONDS = 0.2


@contextmanager
def only_install(lab: Lab) -> Iterator[Callable[[], None] | None]:
    """Holds the lab's install lock, which the kernel frees where its holder dies.

    Gives None, or, where another install has the lock, a function that waits for it and must be called first.
    """
    import fcntl

    private_folder(lab.models)
    with open(lab.models / ".install.lock", "w", opener=opener) as lock:

        def try_it() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        def wait() -> None:
            # Asked again and again: a blocking call would keep the thread from hearing that it is cancelled.
            while not try_it():
                time.sleep(_POLL_SECONDS)

        yield None if try_it() else wait


def remove_left_by_kill(lab: Lab, name: str) -> None:
    """Removes temporary folders of versions, and merged models, that killed installs left. Needs the lock."""
    remove_leftovers(Registry(lab, name).folder)
    for merged in lab.runs.glob(f"*/{MERGED}"):
        merged.unlink(missing_ok=True)
    for run in lab.runs.glob(f"*/.{MERGED}.*.tmp"):
        remove_leftovers(run.parent, MERGED)
