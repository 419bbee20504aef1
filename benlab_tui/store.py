"""Opens the chats of a lab, whatever state lab.db is in."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

from pipeline.chats import Chats
from pipeline.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path


def open_chats(path: Path) -> tuple[Chats, str]:
    """The chats, and one sentence for the person where something was wrong with the file."""
    try:
        return Chats(path), ""
    except LabError as error:
        if not _corrupt(error):
            return Chats(":memory:"), f"this session is not kept: {error}"
    aside = path.with_name(f"{path.name}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        path.replace(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return Chats(path), f"{path} was no usable database: it was set aside as {aside.name} and a new one begun"
    except (OSError, LabError) as error:
        return Chats(":memory:"), f"this session is not kept: {path} is corrupt and cannot be set aside ({error})"


def _corrupt(error: LabError) -> bool:
    """SQLite says DatabaseError itself for bytes that are no database; locks and rights are OperationalError."""
    return type(error.__cause__) is sqlite3.DatabaseError
