"""One way to open lab.db, and numbered migrations for each part that keeps tables in it.

lab.db is shared by the notebook, the jobs and the chats. Each part has a
component name and a list of migration steps; step i takes its tables from
version i to i+1, in one transaction.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from simulator import strict_json
from simulator.errors import NotebookError
from simulator.private_files import FILE, private_folder, restrict

BUSY_SECONDS = 5.0
"""How long a lock is waited for: writes here take milliseconds, and a person should not look at silence."""


def open_database(path: Path | str) -> sqlite3.Connection:
    """A connection in WAL mode with foreign keys, rows by name, and autocommit (`BEGIN` is the caller's).

    The connection may be used from several threads, one at a time. Raises
    NotebookError where the file cannot be opened or is no database.
    """
    target = Path(path)
    try:
        if str(path) != ":memory:":
            _keep_private(target)
        conn = sqlite3.connect(target, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise NotebookError(f"{target} cannot be opened ({error}): choose a lab folder you may write to") from error
    try:
        conn.row_factory = sqlite3.Row
        conn.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        _use_wal(conn)
        conn.execute("PRAGMA synchronous = NORMAL")
        conn.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error as error:
        conn.close()
        raise NotebookError(in_words(str(target), "opened", error)) from error
    return conn


def _keep_private(target: Path) -> None:
    """The file and those beside it are their owner's alone; SQLite makes the latter with the rights of the former."""
    private_folder(target.parent)
    with suppress(FileExistsError):
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE))
    for suffix in ("", "-wal", "-shm"):
        restrict(target.with_name(target.name + suffix))


def _use_wal(conn: sqlite3.Connection) -> None:
    """Where two processes open a new file at once, SQLite refuses one of them without waiting: it is asked again."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            conn.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def in_words(what: str, verb: str, error: Exception) -> str:
    """One sentence for SQLite's trouble: "<what> cannot be <verb> …", and what to do.

    Only SQLITE_NOTADB and SQLITE_CORRUPT (https://sqlite.org/rescode.html) tell of a file to be moved away: a full
    disk, a lock or missing rights leave the notebook whole. The extended codes carry the primary one in the low byte.
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"{what} is not a usable SQLite database ({error}): move it away or restore a backup"
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        reason, mend = "the disk is full or cannot be written", "make room and try again, the notebook is kept"
    elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        reason, mend = "another program holds it", "close that program, or try again"
    elif code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        reason, mend = "this user may not write it", "make it writable, or choose another lab with --lab"
    else:
        return f"{what} cannot be {verb} ({error}): close other programs that use it, or restore a backup"
    return f"{what} cannot be {verb} because {reason} ({error}): {mend}"


def migrate(conn: sqlite3.Connection, component: str, steps: Sequence[str]) -> int:
    """Brings a component's tables to version `len(steps)` and returns that version.

    Safe when several processes start at once: the version is read under the
    write lock. Raises NotebookError where the file was written by a newer release.
    """
    try:
        conn.execute(
            "CREATE TABLE IF NOT EXISTS schema_versions (component TEXT PRIMARY KEY, version INTEGER NOT NULL)"
        )
        if _version(conn, component) == len(steps):
            return len(steps)
        conn.execute("BEGIN IMMEDIATE")
        try:
            version = _version(conn, component)
            if version > len(steps):
                raise NotebookError(
                    f"lab.db holds version {version} of {component}, newer than {len(steps)}, the newest this release "
                    "knows: update benlab"
                )
            for step in steps[version:]:
                for statement in _statements(step):
                    conn.execute(statement)
            conn.execute(
                "INSERT INTO schema_versions VALUES (?, ?) ON CONFLICT (component) DO UPDATE SET version = ?2",
                (component, len(steps)),
            )
            conn.execute("COMMIT")
        except BaseException:
            roll_back(conn)
            raise
    except sqlite3.Error as error:
        raise NotebookError(in_words(f"lab.db (its {component} tables)", "prepared", error)) from error
    return len(steps)


def stored_object(text: object) -> dict[str, Any] | None:
    """Return the JSON object in a row's column, or None if it is anything else: lab.db may be somebody else's.

    An object with NaN, infinity or a whole number that no float holds is not one that was stored here.
    """
    if not isinstance(text, str):
        return None
    try:
        found = strict_json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def roll_back(conn: sqlite3.Connection) -> None:
    """Ends the open transaction, if any: on a full disk SQLite has ended it, and that reason must not be lost."""
    if conn.in_transaction:
        with suppress(sqlite3.Error):
            conn.execute("ROLLBACK")


def _version(conn: sqlite3.Connection, component: str) -> int:
    row = conn.execute("SELECT version FROM schema_versions WHERE component = ?", (component,)).fetchone()
    return int(row[0]) if row else 0


def _statements(script: str) -> list[str]:
    """The statements of a script; `executescript` would commit in the middle of the transaction."""
    found: list[str] = []
    pending = ""
    for piece in script.split(";"):
        pending += piece + ";"
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    return [statement for statement in [*found, pending.strip()] if statement.strip("; \n")]
