"""Files and folders that only their owner may read or change, whatever the umask is."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

UMASK = 0o077
"""What processes of Ben Lab set: everything that they and their libraries make is their owner's alone."""
FILE = 0o600
FOLDER = 0o700
LARGEST = 256 << 20
"""Bytes of a file that is read whole: a lab's registries, manifests and events have far fewer."""


def private_folder(folder: Path) -> None:
    """Make the folder, and each missing one above it, for its owner alone. Raises OSError."""
    missing = []
    place = folder
    while not place.exists():
        missing.append(place)
        place = place.parent
    for made in reversed(missing):
        with suppress(FileExistsError):  # another process was faster
            made.mkdir(mode=FOLDER)
    if not folder.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(folder))


def opener(path: str, flags: int) -> int:
    """Open a file for its owner alone; for `open(path, mode, opener=opener)`.

    Raises OSError for a link: in a lab of somebody else's it may lead to any file, and that file would be emptied.
    """
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, FILE)


def regular(path: str, flags: int) -> int:
    """Open without waiting for the other end of a pipe; for `open(path, mode, opener=regular)`.

    Raises OSError if it is not a regular file: a pipe or device of somebody else's lab may never end.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is not a regular file")
    return descriptor


def read_bytes(path: Path, most: int = LARGEST) -> bytes:
    """Return the bytes of a regular file. Raises OSError for anything else, and for one of more than `most` bytes."""
    with open(path, "rb", opener=regular) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(0, f"it has {size:,} bytes, above the most, {most:,}")
        # Python sets aside as many bytes as are asked for. The kernel's own files tell a size of 0 and hold more.
        return file.read(min(most, max(size, 65_536)))


def read_text(path: Path, encoding: str = "utf-8", errors: str = "strict", most: int = LARGEST) -> str:
    """Return the text of a regular file, as `read_bytes` does. Raises OSError and UnicodeDecodeError."""
    text = read_bytes(path, most).decode(encoding, errors)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def restrict(path: Path) -> None:
    """Take the rights of group and others off a file or folder of ours. A link, or another user's file, stays."""
    with suppress(OSError):
        found = path.lstat()
        rights = stat.S_IMODE(found.st_mode)
        if rights & UMASK and not stat.S_ISLNK(found.st_mode) and found.st_uid == os.geteuid():
            path.chmod(rights & ~UMASK)


def restrict_tree(path: Path) -> None:
    """`restrict` a file, or a folder and all that is in it. Links are not followed."""
    restrict(path)
    for folder, names, files in os.walk(path):
        for name in [*names, *files]:
            restrict(Path(folder, name))
