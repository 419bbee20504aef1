"""Which files a backup of a lab holds: all regular files in it, and those that its links lead to."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.archive import MOST_PARTS
from pipeline.errors import LabError

if TYPE_CHECKING:
    from pipeline.lab import Lab

_LEFT_OUT = {".console.lock", "lab.db-wal", "lab.db-shm", "lab.db-journal"}
_BASES = "models/bases"
_SHOWN = 20


class Tree:
    """`files` maps each name in the archive to the file whose bytes it gets.

    `followed` tells of links that lead out of the lab, `missing` of what no archive can hold: links to nothing, or to
    a folder that is in the archive under another name, and sockets, pipes and devices. Raises LabError for a folder
    that cannot be read.
    """

    def __init__(self, lab: Lab, bases: bool, target: Path) -> None:
        self.files: dict[str, Path] = {}
        self.followed: list[str] = []
        self.missing: list[str] = []
        self._root, self._bases, self._target = lab.root, bases, target
        self._seen: set[tuple[int, int]] = set()
        self._links: list[tuple[str, Path]] = []
        self._add_folder("", lab.root)
        # What lies in the lab itself comes first, so that a link to it is never taken for it.
        while self._links:
            self._follow(*self._links.pop(0))
        self.files = dict(sorted(self.files.items()))

    def notes(self) -> list[str]:
        """What a person must know of the archive, a sentence each."""
        missing = [f"NOT in the archive: {text}" for text in _shortened(self.missing)]
        return missing + [f"in the archive: {text}" for text in _shortened(self.followed)]

    def _add_folder(self, name: str, folder: Path) -> None:
        if name.count("/") >= MOST_PARTS - 1:
            raise LabError(f"{_said(name)} lies more than {MOST_PARTS - 1} folders deep: move it up or out of the lab")
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            found = folder.stat()
        except OSError as error:
            raise LabError(
                f"{folder} cannot be read ({error.strerror or error}): nothing was written; make it readable, or move "
                "it out of the lab"
            ) from error
        self._seen.add((found.st_dev, found.st_ino))
        for entry in entries:
            own = f"{name}/{entry.name}" if name else entry.name
            if own in _LEFT_OUT or (own == _BASES and not self._bases) or _is_temporary(entry.name):
                continue
            if entry.is_symlink():
                self._links.append((own, Path(entry.path)))
            elif entry.is_dir(follow_symlinks=False):
                self._add_folder(own, Path(entry.path))
            else:
                with suppress(FileNotFoundError):  # a job has removed it since
                    self._add_file(own, Path(entry.path), entry.stat(follow_symlinks=False).st_mode)

    def _add_file(self, name: str, path: Path, mode: int) -> None:
        if not stat.S_ISREG(mode):
            self.missing.append(f"{_said(name)} is a pipe, a socket or a device")
        elif path.resolve() != self._target:
            self.files[name] = path

    def _follow(self, name: str, link: Path) -> None:
        try:
            place, found = link.resolve(strict=True), link.stat()
        except (OSError, RuntimeError):
            self.missing.append(f"{_said(name)} is a link that leads nowhere")
            return
        if stat.S_ISDIR(found.st_mode):
            if (found.st_dev, found.st_ino) in self._seen or self._root.is_relative_to(place):
                self.missing.append(f"{_said(name)} leads to {place}, which is in the archive or holds the lab")
                return
            self._add_folder(name, place)
        else:
            self._add_file(name, place, found.st_mode)
        if not place.is_relative_to(self._root):
            self.followed.append(f"what {_said(name)} leads to, {place}")


def _is_temporary(name: str) -> bool:
    """Whether it is what `pipeline.files` is writing, or a kill has left of it."""
    return name.startswith(".") and name.endswith(".tmp")


def _said(name: str) -> str:
    """The name as a text that any terminal can write."""
    return name.encode("utf-8", "backslashreplace").decode()


def _shortened(texts: list[str]) -> list[str]:
    more = len(texts) - _SHOWN
    return texts[:_SHOWN] + ([f"{more} more of this kind"] if more > 0 else [])
