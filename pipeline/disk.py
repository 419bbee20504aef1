"""What a lab takes on the disk, and what of it can go without loss."""

from __future__ import annotations

import glob
import os
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import jobs
from pipeline.files import lives, writer_of

if TYPE_CHECKING:
    from pipeline.lab import Lab

_OLD_TEMPORARY = 3600.0
"""Seconds after which a temporary file that does not tell its writer belongs to no one that still writes it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of one part of the lab."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Removable:
    """What may go: its path, its size, and why."""

    path: Path
    size: int
    why: str


def usage(lab: Lab) -> list[Part]:
    """The lab's parts, the largest first."""
    try:
        entries = [path for path in lab.root.iterdir() if not path.is_symlink()]
    except OSError:
        return []
    return sorted((Part(path.name, size_of(path)) for path in entries), key=lambda part: -part.size)


def removable(lab: Lab) -> list[Removable]:
    """Checkpoints and model copies of runs that are over, and temporary files that a kill left.

    Nothing still in use, and no checkpoint that `train resume=yes` would go on from.
    """
    from pipeline.train.stage import resumable

    found = [Removable(path, size_of(path), "a write that was cut off") for path in _cut_off(lab)]
    for job in jobs.find(lab, 1000):
        # A training that can go on is not over, whatever its last word was: "failed" is where a disk ran full.
        if job.state() in ("done", "failed", "cancelled") and not resumable(job.folder):
            for path in sorted([*job.folder.glob("checkpoint*"), *job.folder.glob("checkpoints")]):
                found.append(Removable(path, size_of(path), f"checkpoints of {job.kind}, which is {job.state()}"))
        if job.state() != "running":
            for path in sorted(job.folder.glob("engine-*.gguf")):
                found.append(Removable(path, size_of(path), f"a copy that {job.kind} left, which is {job.state()}"))
    return found


def clean(lab: Lab) -> int:
    """Removes what is removable; returns the bytes that came free."""
    freed = 0
    for item in removable(lab):
        if item.path.is_dir() and not item.path.is_symlink():
            shutil.rmtree(item.path, ignore_errors=True)
        else:
            item.path.unlink(missing_ok=True)
        freed += item.size if not item.path.exists() else 0
    return freed


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files under a folder; links are not followed."""
    try:
        if path.is_symlink():
            return 0
        if path.is_file():
            return path.stat().st_size
        return sum(size_of(child) for child in path.iterdir())
    except OSError:
        return 0


def _cut_off(lab: Lab) -> list[Path]:
    """What killed writers left in the lab, and what a killed restore left beside it."""
    beside = f".{glob.escape(lab.root.name)}.*.tmp"
    found = []
    for path in [*lab.root.rglob(".*.tmp"), *lab.root.parent.glob(beside)]:
        try:
            about = path.lstat()
        except OSError:
            continue
        if about.st_uid == os.geteuid() and not stat.S_ISLNK(about.st_mode) and _is_over(path.name, about.st_mtime):
            found.append(path)
    return found


def _is_over(name: str, modified: float) -> bool:
    """Whether nobody writes that temporary file any more: its writer is gone, or is not told and long silent.

    A writer that lives counts for more than the time of day, which may be set.
    """
    writer = writer_of(name)
    return not lives(writer) if writer else modified < time.time() - _OLD_TEMPORARY
