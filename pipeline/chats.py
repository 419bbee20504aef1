"""Chat sessions and their messages in lab.db, with full-text search (SQLite FTS5)."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pipeline.chat_schema import STEPS, match_expression
from pipeline.errors import LabError
from simulator.errors import NotebookError
from simulator.masking import mask_line
from simulator.sqlite import in_words, migrate, open_database, stored_object

Role = Literal["user", "assistant", "tool", "command", "card", "note"]
TITLE_LENGTH = 60
_BUSY_MS = 3000


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation. `updated` is ISO 8601, UTC; `messages` is how many it holds."""

    id: int
    title: str
    created: str
    updated: str
    messages: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a session. `meta` holds what its role needs: speed, engine, job or experiment id, a partial mark."""

    id: int
    session_id: int
    role: str
    content: str
    meta: dict[str, Any] = field(default_factory=dict)
    created: str = ""


class Chats:
    """The sessions of one lab. Safe to call from several threads. Raises LabError, in one sentence."""

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            self._conn = open_database(path)
            self._conn.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            migrate(self._conn, "chats", STEPS)
        except NotebookError as error:
            raise LabError(str(error)) from error.__cause__ or error

    def close(self) -> None:
        """Closes the connection."""
        self._conn.close()

    def start(self, title: str = "new chat") -> Session:
        """Makes an empty session."""
        now = _now()
        with self._write() as conn:
            made = conn.execute(
                "INSERT INTO chat_sessions (title, created, updated) VALUES (?, ?, ?)", (title, now, now)
            ).lastrowid
        return Session(int(made or 0), title, now, now)

    def newest(self) -> Session | None:
        """The session that was used last, or None."""
        found = self.sessions(1)
        return found[0] if found else None

    def sessions(self, limit: int = 100, query: str = "") -> list[Session]:
        """Sessions, the last used first; with a query those whose title or messages match all its words."""
        where, values = "", []
        if words := match_expression(query):
            where = (
                "WHERE s.title LIKE ? ESCAPE '\\' OR s.id IN (SELECT m.session_id FROM chat_search f "
                "JOIN chat_messages m ON m.id = f.rowid WHERE chat_search MATCH ?)"
            )
            values = [f"%{_like(query.strip())}%", words]
        sql = (
            "SELECT s.id, s.title, s.created, s.updated, "
            "(SELECT count(*) FROM chat_messages m WHERE m.session_id = s.id) FROM chat_sessions s "
            f"{where} ORDER BY s.updated DESC, s.id DESC LIMIT ?"
        )
        return [Session(*row) for row in self._read(sql, (*values, limit))]

    def session(self, session_id: int) -> Session | None:
        """The session of that id, or None."""
        rows = self._read(
            "SELECT s.id, s.title, s.created, s.updated, "
            "(SELECT count(*) FROM chat_messages m WHERE m.session_id = s.id) FROM chat_sessions s WHERE s.id = ?",
            (session_id,),
        )
        return Session(*rows[0]) if rows else None

    def rename(self, session_id: int, title: str) -> None:
        """Gives the session a title of at most 60 characters."""
        with self._write() as conn:
            conn.execute("UPDATE chat_sessions SET title = ? WHERE id = ?", (clip(title) or "chat", session_id))

    def delete(self, session_id: int) -> None:
        """Removes the session and its messages."""
        with self._write() as conn:
            conn.execute("DELETE FROM chat_sessions WHERE id = ?", (session_id,))

    def add(self, session_id: int, role: str, content: str, **meta: Any) -> Message:
        """Appends a message; the first one of the user names an unnamed session. Of a command no secret is kept."""
        now = _now()
        content = mask_line(content) if role == "command" else content
        with self._write() as conn:
            made = conn.execute(
                "INSERT INTO chat_messages (session_id, role, content, meta, created) VALUES (?, ?, ?, ?, ?)",
                (session_id, role, _stored(content), json.dumps(meta), now),
            ).lastrowid
            conn.execute("UPDATE chat_sessions SET updated = ? WHERE id = ?", (now, session_id))
            if role == "user":
                conn.execute(
                    "UPDATE chat_sessions SET title = ? WHERE id = ? AND title = 'new chat'",
                    (clip(_stored(content)) or "new chat", session_id),
                )
        return Message(int(made or 0), session_id, role, content, meta, now)

    def change(self, message_id: int, content: str, **meta: Any) -> None:
        """Replaces a message's text and adds to its meta."""
        with self._write() as conn:
            row = conn.execute("SELECT meta FROM chat_messages WHERE id = ?", (message_id,)).fetchone()
            former = (stored_object(row[0]) if row else None) or {}
            conn.execute(
                "UPDATE chat_messages SET content = ?, meta = ? WHERE id = ?",
                (_stored(content), json.dumps({**former, **meta}), message_id),
            )

    def forget_from(self, session_id: int, message_id: int) -> None:
        """Removes that message and all after it in its session: what edit and regenerate begin with."""
        with self._write() as conn:
            conn.execute("DELETE FROM chat_messages WHERE session_id = ? AND id >= ?", (session_id, message_id))

    def messages(self, session_id: int, limit: int = 1000, before: int | None = None) -> list[Message]:
        """The session's last `limit` messages in order, those before the id `before` where it is given."""
        rows = self._read(
            "SELECT id, session_id, role, content, meta, created FROM chat_messages "
            "WHERE session_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
            (session_id, before if before is not None else 2**62, limit),
        )
        return [_message(row) for row in reversed(rows)]

    def after(self, session_id: int, message_id: int, limit: int) -> list[Message]:
        """The first `limit` messages of the session that come after that id."""
        rows = self._read(
            "SELECT id, session_id, role, content, meta, created FROM chat_messages "
            "WHERE session_id = ? AND id > ? ORDER BY id LIMIT ?",
            (session_id, message_id, limit),
        )
        return [_message(row) for row in rows]

    def message(self, message_id: int) -> Message | None:
        """The message of that id, or None."""
        rows = self._read(
            "SELECT id, session_id, role, content, meta, created FROM chat_messages WHERE id = ?", (message_id,)
        )
        return _message(rows[0]) if rows else None

    def newest_answer(self) -> Message | None:
        """The newest whole answer of the model, or None."""
        rows = self._read(
            "SELECT id, session_id, role, content, meta, created FROM chat_messages "
            "WHERE role = 'assistant' AND trim(content) != '' AND CASE WHEN json_valid(meta) THEN "
            "COALESCE(json_extract(meta, '$.partial'), 0) = 0 AND json_extract(meta, '$.kind') IS NULL ELSE 0 END "
            "ORDER BY id DESC LIMIT 1"
        )
        return _message(rows[0]) if rows else None

    def search(self, query: str, limit: int = 20) -> list[Message]:
        """Messages that hold all words of the query, the best match first."""
        words = match_expression(query)
        if not words:
            return []
        rows = self._read(
            "SELECT m.id, m.session_id, m.role, m.content, m.meta, m.created FROM chat_search f "
            "JOIN chat_messages m ON m.id = f.rowid WHERE chat_search MATCH ? ORDER BY bm25(chat_search) LIMIT ?",
            (words, limit),
        )
        return [_message(row) for row in rows]

    def prompts(self, limit: int = 200) -> list[str]:
        """What the person typed, the oldest first: the prompt's history."""
        rows = self._read(
            "SELECT content FROM chat_messages WHERE role IN ('user', 'command') ORDER BY id DESC LIMIT ?", (limit,)
        )
        return [row[0] for row in reversed(rows)]

    def remember(self, key: str, value: Any) -> None:
        """Keeps a setting of the console (theme, model in use) as JSON."""
        with self._write() as conn:
            conn.execute(
                "INSERT INTO console_state VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = ?2",
                (key, json.dumps(value)),
            )

    def recall(self, key: str, default: Any = None) -> Any:
        """A kept setting, or `default`."""
        rows = self._read("SELECT value FROM console_state WHERE key = ?", (key,))
        try:
            return json.loads(rows[0][0]) if rows else default
        except (ValueError, TypeError, RecursionError):  # the file may be somebody else's
            return default

    def _read(self, sql: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        try:
            with self._lock:
                return self._conn.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise LabError(in_words(str(self.path), "read", error)) from error

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._conn.execute("BEGIN IMMEDIATE")
                try:
                    yield self._conn
                    self._conn.execute("COMMIT")
                except BaseException:
                    with contextlib.suppress(sqlite3.Error):
                        self._conn.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise LabError(
                    f"{self.path} cannot be written ({error}): this part of the chat is not kept; "
                    "close other programs that use it or make it writable"
                ) from error


def clip(text: str, length: int = TITLE_LENGTH) -> str:
    """The text on one line, at most `length` characters."""
    line = " ".join(text[: 20 * length].split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _stored(text: str) -> str:
    """Lone surrogates (from broken bytes in a paste) cannot be UTF-8: they become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _message(row: sqlite3.Row) -> Message:
    return Message(row[0], row[1], str(row[2]), str(row[3]), stored_object(row[4]) or {}, str(row[5]))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
