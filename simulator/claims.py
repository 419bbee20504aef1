"""Who is making which run: sweeps at work in one lab at the same time share the runs and make none twice."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from simulator.errors import NotebookError


class Claims:
    """Locks on single bytes of an empty file, one byte a run; they end with the process, however it ends.

    The byte is at the id's last sixty bits; runs that meet there only wait for each other. A process holds all its
    claims together (fcntl(2)): two sweeps in one process do not see each other's.
    """

    def __init__(self, notebook: Path) -> None:
        """Raises NotebookError where the file beside the notebook cannot be made."""
        path = notebook.with_name(notebook.name + "-claims")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise NotebookError(f"{path} cannot be opened ({error.strerror}): make its folder writable") from error

    def take(self, experiment_id: str) -> bool:
        """Whether the run is ours to make now."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(experiment_id))
        except OSError:
            return False
        return True

    def give_back(self, experiment_ids: Iterable[str]) -> None:
        """Runs that are in the notebook, or that are not made after all."""
        for one in experiment_ids:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(one))

    def close(self) -> None:
        """Gives everything back."""
        os.close(self._file)


def _place(experiment_id: str) -> int:
    return int(experiment_id[-15:], 16)
