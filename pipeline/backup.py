"""A lab folder as one archive, and back. lab.db is copied by SQLite itself, so a running console does no harm."""

from __future__ import annotations

import gzip
import os
import posixpath
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import BadInput, LabError
from pipeline.files import replacing, replacing_folder, require_space
from simulator.events import Event, Progress, Result
from simulator.sqlite import BUSY_SECONDS, in_words

if TYPE_CHECKING:
    from pipeline.lab import Lab

_MARK = "benlab.toml"
_LEFT_OUT = {".console.lock", "lab.db-wal", "lab.db-shm"}
_REGULAR = {_MARK, "lab.db"}
_CHUNK = 1 << 20


def backup(lab: Lab, file: Path, bases: bool = False, force: bool = False) -> Iterator[Event]:
    """Writes the archive (.tar.gz); bases, which `pull` can fetch again, only where asked.

    Raises BadInput where the archive is there already (unless `force`), LabError where lab.db is damaged or held.
    """
    target = file.expanduser().resolve()
    if target.is_relative_to(lab.root):
        raise BadInput(f"{target} lies inside the lab itself: name a file elsewhere")
    if target.is_dir():
        raise BadInput(f"{target} is a folder: name a file in it, as in {target / 'lab.tar.gz'}")
    if target.exists() and not force:
        raise BadInput(f"{target} is there already: name another file, or replace it with force=true")
    paths = _files(lab, bases)
    yield Progress("backup", 0, len(paths))
    with tempfile.TemporaryDirectory() as folder, replacing(target) as temporary:
        database = Path(folder) / "lab.db"
        _copy_database(lab.database, database)
        _check_database(lab.database, database)
        with tarfile.open(temporary, "w:gz", compresslevel=3) as archive:
            for number, path in enumerate(paths, 1):
                name = path.relative_to(lab.root).as_posix()
                source = database if path == lab.database else path
                if source.exists():
                    archive.add(source, name, recursive=False)
                if number % 20 == 0:
                    yield Progress("backup", number, len(paths))
    size = target.stat().st_size
    yield Result(
        {
            "file": str(target),
            "files": len(paths),
            "bytes": size,
            "summary": f"{len(paths)} files, {size / 1e6:.1f} MB: {target}",
        }
    )


def restore(file: Path, root: Path) -> Iterator[Event]:
    """Unpacks an archive into a folder that is empty or missing. Raises BadInput or LabError."""
    source = file.expanduser()
    if root.exists() and any(path.name not in {".console.lock", _MARK} for path in root.iterdir()):
        raise BadInput(f"{root} is not empty: restore into a new folder, as in --lab ~/restored")
    try:
        with gzip.open(source) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            members = archive.getmembers()
            _check_members(source, members)
            _check_end(source, stream)
            require_space(root, sum(member.size for member in members), "the restore")
            with replacing_folder(root) as temporary:
                for number, member in enumerate(members, 1):
                    archive.extract(member, temporary, filter="data")
                    if number % 20 == 0:
                        yield Progress("restore", number, len(members))
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LabError(f"{source} cannot be unpacked ({error}): choose another backup") from error
    except OSError as error:
        raise LabError(
            f"{source} cannot be restored ({error.strerror or error}): check the file and the disk"
        ) from error
    yield Result({"lab": str(root), "files": len(members), "summary": f"{len(members)} files restored into {root}"})


def _check_members(source: Path, members: list[tarfile.TarInfo]) -> None:
    """Raises BadInput where no benlab.toml is in the archive, or one of the lab's own files is a link or a folder."""
    if not any(member.name == _MARK for member in members):
        raise BadInput(f"{source} is no backup of a lab: it holds no {_MARK}")
    for member in members:
        if (name := posixpath.normpath(member.name)) in _REGULAR and not member.isreg():
            raise BadInput(f"{source} is no backup of a lab: its {name} is no regular file; choose another backup")


def _check_end(source: Path, stream: gzip.GzipFile) -> None:
    """Reads what follows the last member: zeros alone, then gzip's checksum, which only a read to the end compares."""
    while chunk := stream.read(_CHUNK):
        if chunk.count(0) != len(chunk):
            raise LabError(f"{source} is damaged (more follows its last readable file): choose another backup")


def _files(lab: Lab, bases: bool) -> list[Path]:
    found = []
    for folder, names, files in os.walk(lab.root):
        here = Path(folder)
        if not bases and here == lab.models:
            names[:] = [name for name in names if name != "bases"]
        names.sort()
        found += [here / name for name in sorted(files) if name not in _LEFT_OUT and not name.endswith(".tmp")]
    return [path for path in found if path.is_file() and not path.is_symlink()]


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
