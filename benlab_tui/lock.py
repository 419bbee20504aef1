"""One console a lab: a lock that the system frees with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from pipeline.errors import LabError


class ConsoleLock:
    """A context manager. Raises LabError where another console has the lab open."""

    def __init__(self, root: Path) -> None:
        self._path = root / ".console.lock"
        self._file: int | None = None

    def __enter__(self) -> ConsoleLock:
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self._file = os.open(self._path, flags, 0o600)
        except OSError:
            return self
        # What follows empties the file, which must not be one that somebody else's lab has linked here.
        found = os.fstat(self._file)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            os.close(self._file)
            self._file = None
            return self
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            self._file = None
            raise LabError(
                f"{self._path.parent} is open in another console (process {holder}): "
                "close that one, or choose another lab with --lab DIR"
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
