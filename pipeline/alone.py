"""One process at a time: a lock on a file, which the kernel frees where its holder dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import BadInput, LabError
from simulator.private_files import opener, private_folder


@contextmanager
def only_one(lock: Path, busy: str) -> Iterator[int]:
    """Holds the lock; gives its descriptor, for a child that is to hold it, too, should this process die.

    Raises BadInput(`busy`) where another process has it, LabError where it cannot be made.
    """
    import fcntl

    try:
        private_folder(lock.parent)
        # Not "w": whatever lies there stays as it is.
        file = open(lock, "a", opener=opener)  # noqa: SIM115
    except OSError as error:
        raise LabError(f"{lock.parent} cannot be written ({error.strerror or error}): choose another place") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(busy) from error
        except OSError as error:  # a file system without locks
            raise LabError(f"{lock} cannot be locked ({error.strerror or error}): choose another place") from error
        yield file.fileno()
