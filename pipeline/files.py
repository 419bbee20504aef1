"""Files that are whole or not there: write beside the target, flush, rename.

The console imports this before its first paint, so hashlib and shutil wait until they are needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import LabError
from simulator.private_files import FOLDER, private_folder, regular, restrict, restrict_tree

_CHUNK = 1 << 20


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Gives a temporary path in the target's folder; on success it is flushed and renamed to `target`.

    Its owner alone may read it, under its final name too.
    On any error the temporary file is removed and `target` stays as it was.
    Raises LabError where the disk is full or the folder cannot be written.
    """
    temporary = _beside(target)
    try:
        private_folder(target.parent)
        _refuse_device(target)
        yield temporary
        restrict(temporary)
        _flush(temporary)
        temporary.replace(target)
        _flush(target.parent)
    except OSError as error:
        raise LabError(f"{target} could not be written ({error.strerror or error}): {_mend(error)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Gives an empty temporary folder beside `target`; on success it takes the target's place.

    The former folder stays until the new one stands under its final name; where a kill falls
    between the two renames, `recover_folder` brings the former one back.
    """
    import shutil

    temporary = _beside(target)
    former = target.with_name(f".{target.name}.former")
    try:
        private_folder(target.parent)
        temporary.mkdir(mode=FOLDER)
        yield temporary
        restrict_tree(temporary)
        for file in temporary.rglob("*"):
            _flush(file)
        _flush(temporary)
        recover_folder(target)
        if target.exists():
            target.rename(former)
        temporary.rename(target)
        _flush(target.parent)
        shutil.rmtree(former, ignore_errors=True)
    except OSError as error:
        with suppress(OSError):
            recover_folder(target)
        raise LabError(f"{target} could not be written ({error.strerror or error}): {_mend(error)}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def recover_folder(target: Path) -> None:
    """Ends what a kill in `replacing_folder` left: the former folder comes back, or goes where a new one stands."""
    import shutil

    former = target.with_name(f".{target.name}.former")
    if not former.exists():
        return
    if target.exists():
        shutil.rmtree(former, ignore_errors=True)
    else:
        former.rename(target)


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Removes what killed writers of `folder`/`name` (any name where it is empty) left there.

    What a live process writes stays.
    """
    import glob
    import shutil

    for left in folder.glob(f".{glob.escape(name) or '*'}.*.tmp"):
        writer = writer_of(left.name)
        if not writer or lives(writer):
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(OSError):
                left.unlink()


def write_bytes_atomic(target: Path, data: bytes) -> None:
    """Writes `data` under its final name or not at all."""
    with replacing(target) as temporary:
        temporary.write_bytes(data)


def write_text_atomic(target: Path, text: str) -> None:
    """Writes `text` as UTF-8 under its final name or not at all."""
    write_bytes_atomic(target, text.encode("utf-8"))


def sha256_of(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """The file's sha256 in hex; `progress` is told the bytes read so far."""
    import hashlib

    digest, done = hashlib.sha256(), 0
    with open(path, "rb", opener=regular) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            if progress:
                progress(done)
    return digest.hexdigest()


def require_space(folder: Path, needed: int, what: str) -> None:
    """Raises LabError where the disk under `folder` has less than `needed` bytes free."""
    import shutil

    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise LabError(
            f"{what} needs {needed / 1e6:,.0f} MB in {folder} and the disk has {free / 1e6:,.0f} MB free: "
            "make room (`benlab disk`) or choose another folder with --lab"
        )


def _refuse_device(target: Path) -> None:
    """A rename would put a file in the place of a device, pipe or folder."""
    if target.exists() and not target.is_file():
        raise LabError(f"{target} is no regular file: give the name of a file")


def _beside(target: Path) -> Path:
    """A name of its own in the target's folder, so that the rename stays on one disk; it says who writes it."""
    return target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")


def writer_of(name: str) -> int:
    """Return the process that writes a temporary file of that name (`.NAME.PID-RANDOM.tmp`), or 0."""
    owner, mark, _ = name.removesuffix(".tmp").rpartition(".")[2].partition("-")
    return int(owner) if mark and owner.isascii() and owner.isdigit() and len(owner) < 10 else 0


def lives(process: int) -> bool:
    """Return whether a process of that number runs, whoever owns it."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _flush(path: Path) -> None:
    """Waits until the file's or folder's bytes are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mend(error: OSError) -> str:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room on the disk (`benlab disk`) or choose another folder with --lab"
    return "check that the folder may be written, or choose another with --lab"
