"""A lab folder as one archive, and back. lab.db is copied by SQLite itself, so a running console does no harm."""

from __future__ import annotations

import os
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from gzip import BadGzipFile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipeline.archive import FREE, MOST_MEMBERS, RATIO, Archive, Damaged
from pipeline.errors import BadInput, LabError
from pipeline.files import remove_leftovers, replacing, replacing_folder, require_space
from pipeline.lab_tree import Tree
from simulator.events import Event, Note, Progress, Result
from simulator.private_files import opener, private_folder, regular
from simulator.sqlite import BUSY_SECONDS, in_words

if TYPE_CHECKING:
    from pipeline.lab import Lab

_MARK, _DATABASE = "benlab.toml", "lab.db"
_NOT_RESTORED = (f"{_DATABASE}-wal", f"{_DATABASE}-shm", f"{_DATABASE}-journal")
"""SQLite replays these into lab.db, and a journal may name any file of this machine to be deleted."""
_EVERY = 20


def backup(lab: Lab, file: Path, bases: bool = False, force: bool = False) -> Iterator[Event]:
    """Write the archive (.tar.gz); bases, which `pull` can fetch again, are included only if asked for.

    Links are followed and what they lead to is stored; a note says so, and what could not be stored. Raises BadInput
    if the archive exists already (unless `force`), LabError if lab.db is damaged or held, or a file cannot be read.
    """
    target = file.expanduser().resolve()
    if target.is_relative_to(lab.root):
        raise BadInput(f"{target} lies inside the lab itself: name a file elsewhere")
    if target.is_dir():
        raise BadInput(f"{target} is a folder: name a file in it, as in {target / 'lab.tar.gz'}")
    if target.exists() and not force:
        raise BadInput(f"{target} is there already: name another file, or replace it with force=true")
    tree = Tree(lab, bases, target)
    if len(tree.files) * 2 > MOST_MEMBERS:
        raise BadInput(f"the lab holds {len(tree.files):,} files, above the most, {MOST_MEMBERS // 2:,}: remove some")
    yield from map(Note, tree.notes())
    with tempfile.TemporaryDirectory() as folder, replacing(target) as temporary:
        copy = Path(folder) / _DATABASE
        if _DATABASE in tree.files:
            _copy_database(lab.database, copy)
            _check_database(lab.database, copy)
            tree.files[_DATABASE] = copy
        yield from _write(temporary, tree.files, 3)
    size = target.stat().st_size
    lines = [f"{len(tree.files)} files, {size / 1e6:.1f} MB: {target}", *tree.notes()]
    yield Result(
        {
            "file": str(target),
            "files": len(tree.files),
            "bytes": size,
            "followed": tree.followed,
            "missing": tree.missing,
            "summary": "\n".join(lines),
        }
    )


def restore(file: Path, root: Path) -> Iterator[Event]:
    """Unpack an archive into a folder that is empty or missing. Raises BadInput or LabError.

    The archive is read to its end before a file is written.
    """
    source = file.expanduser()
    if root.exists() and any(path.name not in {".console.lock", _MARK} for path in root.iterdir()):
        raise BadInput(f"{root} is not empty: restore into a new folder, as in --lab ~/restored")
    try:
        with open(source, "rb", opener=regular) as stream:
            packed = os.fstat(stream.fileno()).st_size
            count, size = _check(source, Archive(stream, packed))
            require_space(root, size, "the restore")
            remove_leftovers(root.parent, root.name)
            stream.seek(0)
            with replacing_folder(root) as temporary:
                yield from _unpack(Archive(stream, packed), temporary, count)
    except (Damaged, EOFError, zlib.error, BadGzipFile) as error:
        raise LabError(f"{source} cannot be unpacked ({error}): choose another backup") from error
    except OSError as error:
        raise LabError(
            f"{source} cannot be restored ({error.strerror or error}): check the file and the disk"
        ) from error
    yield Result({"lab": str(root), "files": count, "summary": f"{count} files restored into {root}"})


def _check(source: Path, archive: Archive) -> tuple[int, int]:
    """How many files the archive holds, and their bytes. Raises what reading it does, BadInput if it is no lab's."""
    count, size, marked = 0, 0, False
    for member in archive:
        if member.folder and member.name in (_MARK, _DATABASE):
            raise BadInput(f"{source} is no backup of a lab: its {member.name} is no regular file; choose another")
        if member.name in _NOT_RESTORED:
            raise BadInput(
                f"{source} holds {member.name}, which SQLite would replay into lab.db: choose a backup that "
                "`benlab backup` wrote"
            )
        marked = marked or member.name == _MARK
        count, size = count + (not member.folder), size + member.size
    if not marked:
        raise BadInput(f"{source} is no backup of a lab: it holds no {_MARK}")
    return count, size


def _unpack(archive: Archive, folder: Path, count: int) -> Iterator[Event]:
    """Writes the members under `folder`, which is new: nothing in it is a link, and nothing is written twice."""
    done = 0
    for member in archive:
        path = folder / member.name
        if member.folder:
            private_folder(path)
            continue
        private_folder(path.parent)
        with open(path, "xb", opener=opener) as file:
            for chunk in archive.chunks():
                file.write(chunk)
        with suppress(OverflowError):  # the time is the archive's, and may be none of this machine's
            os.utime(path, (member.modified, member.modified))
        done += 1
        if done % _EVERY == 0:
            yield Progress("restore", done, count)


def _write(temporary: Path, files: dict[str, Path], level: int) -> Iterator[Event]:
    """Writes the archive; one that would unpack to more than `restore` takes is written again without compression."""
    yield Progress("backup", 0, len(files))
    with tarfile.open(temporary, "w:gz", compresslevel=level) as archive:
        for number, (name, path) in enumerate(files.items(), 1):
            try:
                with open(path, "rb", opener=regular) as stream:
                    archive.addfile(_entry(name, stream), stream)
            except FileNotFoundError:  # a job has removed it since
                continue
            if number % _EVERY == 0:
                yield Progress("backup", number, len(files))
        unpacked = archive.offset
    if level and unpacked > RATIO * temporary.stat().st_size + FREE // 2:
        yield from _write(temporary, files, 0)


def _entry(name: str, stream: IO[bytes]) -> tarfile.TarInfo:
    """The header of a regular file; who owned it and with which rights is this machine's own business."""
    found = os.fstat(stream.fileno())
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = found.st_size, int(found.st_mtime), 0o600
    return entry


def _copy_database(source: Path, target: Path) -> None:
    if not source.exists():
        return
    try:
        with (
            closing(sqlite3.connect(source, timeout=BUSY_SECONDS)) as conn,
            closing(sqlite3.connect(target)) as copy,
        ):
            # A reader keeps exclusive locks away: without it `backup` would wait for one without end.
            conn.execute("BEGIN")
            conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
            conn.backup(copy)
    except sqlite3.Error as error:
        raise LabError(in_words(str(source), "copied", error)) from error


def _check_database(source: Path, copy: Path) -> None:
    """Raises LabError where the copy does not hold together: then the original does not either."""
    if not copy.exists():
        return
    try:
        with closing(sqlite3.connect(copy)) as conn:
            said = str(conn.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        raise LabError(in_words(str(source), "copied", error)) from error
    if said != "ok":
        said = " ".join(said.split())[:200]
        raise LabError(f"{source} is damaged ({said}): no archive was written; move it away or restore a backup")
