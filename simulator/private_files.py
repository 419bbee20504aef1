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
    """Open a file for its owner alone; for `open(path, mode, opener=opener)`."""
    return os.open(path, flags, FILE)


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
