"""Passages for an answer: experiments, glossary, reports and documents, found by words (SQLite FTS5, bm25).

The index lives in lab.db and grows by what is new since it was last used.
"""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pipeline.errors import LabError
from simulator.errors import NotebookError
from simulator.private_files import read_text
from simulator.sqlite import in_words, migrate, open_database, stored_object

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.lab import Lab

LONGEST_PASSAGE = 700
"""Characters of a passage in a prompt: three of them leave a 2k context its room."""

PASSAGES = 3
_LARGEST_REPORT = 16 << 20
_STEPS = [
    """
    CREATE VIRTUAL TABLE passages USING fts5 (
        kind UNINDEXED, source UNINDEXED, title, text, tokenize='porter unicode61'
    );
    CREATE TABLE passages_seen (source TEXT PRIMARY KEY, mark TEXT NOT NULL);
    """,
    """
    DROP TABLE passages;
    DELETE FROM passages_seen;
    CREATE VIRTUAL TABLE passages USING fts5 (
        kind UNINDEXED, source UNINDEXED, title, text, aliases, tokenize='porter unicode61'
    );
    """,
    # SQLite gives a deleted last row's number to the next run, so the mark must not stay above the last row.
    """
    CREATE TRIGGER passages_forget AFTER DELETE ON experiments BEGIN
        UPDATE passages_seen SET mark = (SELECT coalesce(max(rowid), 0) FROM experiments)
            WHERE source = 'experiments'
            AND CAST(mark AS INTEGER) > (SELECT coalesce(max(rowid), 0) FROM experiments);
        INSERT OR REPLACE INTO passages_seen VALUES ('deleted experiments', '1');
    END;
    CREATE TABLE documents (
        source TEXT PRIMARY KEY,
        path TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        passages INTEGER NOT NULL,
        added TEXT NOT NULL
    );
    """,
]
_COMMON_WORDS = (
    "a an and are as at be by can do does for from has have how i in is it its me of on or run say tell that the "
    "this to was what when which why will with you your explain describe give show between difference"
)
_COMMON = frozenset(_COMMON_WORDS.split())


@dataclass(frozen=True, slots=True)
class Passage:
    """`kind` is glossary, experiment, report or document; `source` its key, id or file."""

    kind: str
    source: str
    title: str
    text: str

    @property
    def citation(self) -> str:
        """As it stands under an answer."""
        return f"{self.kind} {self.source}: {self.title}"


def is_on(lab: Lab) -> bool:
    """Return whether answers draw on the lab's passages, as `rag on` and `rag off` set it. Raises LabError."""
    from pipeline.chats import Chats

    chats = Chats(lab.database)
    try:
        return bool(chats.recall("rag", False))
    finally:
        chats.close()


def turn(lab: Lab, on: bool) -> None:
    """Set whether answers draw on the lab's passages. Raises LabError."""
    from pipeline.chats import Chats

    chats = Chats(lab.database)
    try:
        chats.remember("rag", on)
    finally:
        chats.close()


def with_passages(lab: Lab, question: str, wanted: bool | None = None) -> tuple[str, list[str]]:
    """Return the question with its passages in front, and their citations; `wanted` overrides `rag on` or `off`.

    Raises LabError.
    """
    if not (is_on(lab) if wanted is None else wanted):
        return question, []
    text, passages = augment(lab, question)
    return text, [passage.citation for passage in passages]


def augment(lab: Lab, question: str, limit: int = PASSAGES) -> tuple[str, list[Passage]]:
    """The question with the passages that fit it in front, and those passages. Raises LabError."""
    passages = search(lab, question, limit)
    if not passages:
        return question, []
    notes = "\n".join(f"[{number}] {passage.title}: {passage.text}" for number, passage in enumerate(passages, 1))
    return f"Notes from the lab:\n{notes}\n\nQuestion: {question}", passages


def search(lab: Lab, query: str, limit: int = PASSAGES) -> list[Passage]:
    """The passages that share the rarest words with the query, the best first. Raises LabError."""
    words = expression(query)
    if not words:
        return []
    with open_index(lab) as conn:
        _refresh(conn, lab)
        rows = conn.execute(
            "SELECT kind, source, title, text FROM passages WHERE passages MATCH ? "
            "ORDER BY bm25(passages, 0, 0, 4, 1, 2) LIMIT ?",
            (words, 4 * limit),
        ).fetchall()
    asked = f" {' '.join(_plain(query))} "
    # A term that the question names whole comes first: bm25 alone prefers longer entries that repeat it.
    rows.sort(key=lambda row: f" {' '.join(_plain(row[2]))} " not in asked)
    return [Passage(row[0], row[1], row[2], row[3][:LONGEST_PASSAGE]) for row in rows[:limit]]


def expression(query: str) -> str:
    """Any of the query's telling words, as an FTS5 expression that cannot be a syntax error."""
    telling = [word for word in _plain(query) if word not in _COMMON and len(word) > 1]
    return " OR ".join(f'"{word}"' for word in dict.fromkeys(telling))


def _plain(text: str) -> list[str]:
    """At most 100 words, letters and digits alone."""
    return "".join(char if char.isalnum() else " " for char in text[:4000].lower()).split()[:100]


@contextmanager
def open_index(lab: Lab) -> Iterator[sqlite3.Connection]:
    """Open the lab's index of passages. Raises LabError."""
    try:
        lab.notebook().close()
        conn = open_database(lab.database)
    except NotebookError as error:
        raise LabError(str(error)) from error
    try:
        migrate(conn, "passages", _STEPS)
        yield conn
    except NotebookError as error:
        raise LabError(str(error)) from error
    except sqlite3.Error as error:
        raise LabError(in_words(f"{lab.database} (its index)", "used", error)) from error
    finally:
        conn.close()


def _refresh(conn: sqlite3.Connection, lab: Lab) -> None:
    """Adds what came since: glossary entries once, experiments by row, reports by their time of change."""
    seen = dict(conn.execute("SELECT source, mark FROM passages_seen").fetchall())
    edition = _glossary_digest()
    conn.execute("BEGIN IMMEDIATE")
    try:
        if seen.get("glossary") != edition:
            _add_glossary(conn, edition)
        if "deleted experiments" in seen:
            gone = "kind = 'experiment' AND source NOT IN (SELECT id FROM experiments)"
            conn.execute(f"DELETE FROM passages WHERE {gone}")
            conn.execute("DELETE FROM passages_seen WHERE source = 'deleted experiments'")
        _add_experiments(conn, int(seen.get("experiments", 0)))
        for path in sorted((lab.root / "reports").glob("*.md")):
            mark = _changed(path)
            if mark and seen.get(path.name) != mark:
                _add_report(conn, path, mark)
        conn.execute("COMMIT")
    except BaseException:
        conn.execute("ROLLBACK")
        raise


def _changed(path: Path) -> str:
    """Return when a report changed; "" for what no report is: a link may lead to any file of this machine."""
    try:
        found = path.lstat()
    except OSError:
        return ""
    return str(found.st_mtime_ns) if stat.S_ISREG(found.st_mode) and found.st_size <= _LARGEST_REPORT else ""


def _glossary_digest() -> str:
    """Return a hash of the glossary's text, so that an index made from another edition is replaced."""
    from pipeline.data.glossary import entries

    return sha256(repr(entries()).encode()).hexdigest()[:16]


def _add_glossary(conn: sqlite3.Connection, edition: str) -> None:
    from pipeline.data.glossary import entries

    conn.execute("DELETE FROM passages WHERE kind = 'glossary'")
    rows = [("glossary", e.key, e.term, e.text, " ".join(e.aliases)) for e in entries()]
    conn.executemany("INSERT INTO passages VALUES (?, ?, ?, ?, ?)", rows)
    _mark(conn, "glossary", edition)


def _add_experiments(conn: sqlite3.Connection, last: int) -> None:
    rows = conn.execute("SELECT rowid, id, result FROM experiments WHERE rowid > ? ORDER BY rowid", (last,)).fetchall()
    for row in rows:
        last = row["rowid"]
        result = stored_object(row["result"])
        if result is None:
            continue
        conn.execute("DELETE FROM passages WHERE kind = 'experiment' AND source = ?", (row["id"],))
        conn.execute(
            "INSERT INTO passages VALUES ('experiment', ?, ?, ?, '')", (row["id"], _title(result), _words(result))
        )
    if rows:
        _mark(conn, "experiments", str(last))


def _table(result: dict[str, Any], name: str) -> dict[str, Any]:
    found = result.get(name)
    return found if isinstance(found, dict) else {}


def _title(result: dict[str, Any]) -> str:
    params = _table(result, "params")
    shown = " ".join(f"{name} {value}" for name, value in params.items() if not isinstance(value, list))
    return f"{result.get('experiment')} {shown}"


def _words(result: dict[str, Any]) -> str:
    features = _table(result, "features")
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in features.items() if isinstance(value, int | float))
    return f"{result.get('summary', '')} {numbers}".strip()


def _add_report(conn: sqlite3.Connection, path: Path, mark: str) -> None:
    conn.execute("DELETE FROM passages WHERE kind = 'report' AND source = ?", (path.name,))
    text = read_text(path, encoding="utf-8", errors="replace")
    for part in text.split("\n## ")[:200]:
        title, _, body = part.partition("\n")
        # What was said in a chat is no source: a model's wrong answer would come back as a passage.
        if body.strip() and title.strip("# ") not in ("Question", "Answer"):
            conn.execute(
                "INSERT INTO passages VALUES ('report', ?, ?, ?, '')",
                (path.name, title.strip("# "), body.strip()[:4000]),
            )
    _mark(conn, path.name, mark)


def _mark(conn: sqlite3.Connection, source: str, mark: str) -> None:
    conn.execute("INSERT INTO passages_seen VALUES (?, ?) ON CONFLICT (source) DO UPDATE SET mark = ?2", (source, mark))
