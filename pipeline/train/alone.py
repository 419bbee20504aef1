"""One process a run: a training that is at work is not gone on with a second time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import BadInput


@contextmanager
def only_training(run: Path) -> Iterator[None]:
    """Holds the run's lock, which the kernel frees where its holder dies. Raises BadInput where another has it."""
    import fcntl

    with (run / ".train.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(
                f"{run.name} is being trained at this moment: wait for it, or cancel that job first"
            ) from error
        yield
