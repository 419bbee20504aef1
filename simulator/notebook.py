"""The lab notebook: every experiment's parameters and result, by id, in lab.db."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simulator.errors import NotebookError, UnknownExperiment
from simulator.fingerprint import PHYSICS_VERSION
from simulator.sqlite import in_words, migrate, open_database, roll_back, stored_object

_STEPS = [
    """
    CREATE TABLE experiments (
        id TEXT PRIMARY KEY,
        experiment TEXT NOT NULL,
        params TEXT NOT NULL,
        result TEXT NOT NULL,
        physics_version TEXT NOT NULL,
        created TEXT NOT NULL
    );
    CREATE INDEX experiments_created ON experiments (created);
    """,
    """
    CREATE TABLE experiment_tags (
        id TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
        tag TEXT NOT NULL,
        PRIMARY KEY (id, tag)
    );
    CREATE INDEX experiment_tags_tag ON experiment_tags (tag);
    CREATE TABLE experiment_notes (
        id TEXT PRIMARY KEY REFERENCES experiments (id) ON DELETE CASCADE,
        note TEXT NOT NULL
    );
    """,
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One run: its result, when it was kept (ISO 8601, UTC), and what the person wrote about it."""

    result: dict[str, Any]
    created: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()


def _entry(result: dict[str, Any], created: str, note: str | None, tags: str | None) -> Entry:
    return Entry(result, created, note or "", tuple(sorted((tags or "").split())))


def _result(text: object) -> dict[str, Any] | None:
    """A stored result, or None if the row is not one."""
    found = stored_object(text)
    if found is None or not isinstance(found.get("params", {}), dict):
        return None
    return found if all(isinstance(found.get(name, ""), str) for name in ("experiment_id", "experiment")) else None


class Notebook:
    """Results by experiment id. The same id is kept once: its newest result stands.

    `skipped` counts the rows that were read and are not a result. Raises NotebookError where lab.db cannot be opened,
    read or written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.skipped = 0
        self._conn = open_database(self.path)
        migrate(self._conn, "notebook", _STEPS)

    def put(self, result: dict[str, Any]) -> None:
        """Keeps one result (it needs `experiment_id`, `experiment`, `params` and `physics_version`)."""
        self.put_many([result])

    def put_many(self, results: Iterable[dict[str, Any]]) -> None:
        """Keeps several results in one transaction: all of them or none."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        rows = [
            (
                result["experiment_id"],
                result["experiment"],
                json.dumps(result["params"], ensure_ascii=False, allow_nan=False),
                json.dumps(result, ensure_ascii=False, allow_nan=False),
                result["physics_version"],
                now,
            )
            for result in results
        ]
        with self._words("written"):
            self._conn.execute("BEGIN IMMEDIATE")
            try:
                self._conn.executemany(
                    "INSERT INTO experiments VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                    "experiment = ?2, params = ?3, result = ?4, physics_version = ?5, created = ?6",
                    rows,
                )
                self._conn.execute("COMMIT")
            except BaseException:
                roll_back(self._conn)
                raise

    def get(self, experiment_id: str) -> dict[str, Any]:
        """The stored result. Raises UnknownExperiment where there is none."""
        with self._words("read"):
            row = self._conn.execute("SELECT result FROM experiments WHERE id = ?", (experiment_id,)).fetchone()
        if row is None:
            raise UnknownExperiment(
                f"no experiment {experiment_id[:80]!r} is in this lab's notebook: run it first, or choose a recent id"
            )
        if (found := _result(row[0])) is None:
            raise NotebookError(
                f"the row {experiment_id[:80]!r} of {self.path} is not a result: run the experiment again, or delete "
                f"it with `benlab notebook {experiment_id[:80]} delete=yes`"
            )
        return found

    def recent(self, limit: int = 20, experiment: str | None = None) -> list[dict[str, Any]]:
        """The newest results first, of one kind of experiment where it is named."""
        where, values = ("WHERE experiment = ?", [experiment]) if experiment else ("", [])
        with self._words("read"):
            rows = self._conn.execute(
                f"SELECT result FROM experiments {where} ORDER BY created DESC, rowid DESC", values
            )
            return [result for result, _ in self._results(rows, limit)]

    def find(
        self, where: str, values: Sequence[Any], order: str = "created DESC, rowid DESC", limit: int = 20
    ) -> tuple[int, list[Entry]]:
        """Return how many entries match, and the first `limit` of them.

        `where` and `order` are SQL over the table experiments with marks for `values`; see `simulator.notebook_search`.
        """
        with self._words("read"):
            # A row whose JSON is broken would end the whole query; CASE looks at nothing else of it.
            if where != "1":
                where = f"CASE WHEN json_valid(params) AND json_valid(result) THEN {where} ELSE 0 END"
            total = self._conn.execute(f"SELECT count(*) FROM experiments WHERE {where}", values).fetchone()[0]
            former = self.skipped
            rows = self._conn.execute(
                "SELECT result, created, (SELECT note FROM experiment_notes n WHERE n.id = experiments.id),"
                " (SELECT group_concat(tag, ' ') FROM experiment_tags t WHERE t.id = experiments.id)"
                f" FROM experiments WHERE {where} ORDER BY {order}",
                values,
            )
            found = [_entry(result, *rest) for result, rest in self._results(rows, limit)]
        return int(total) - (self.skipped - former), found

    def entry(self, experiment_id: str) -> Entry:
        """Return one result with its time, tags and note. Raises UnknownExperiment."""
        _, found = self.find("id = ?", (experiment_id,))
        return found[0] if found else Entry(self.get(experiment_id))

    def tag(self, experiment_id: str, tag: str) -> None:
        """Add a tag to a run. Raises UnknownExperiment."""
        self._change(experiment_id, "INSERT OR IGNORE INTO experiment_tags VALUES (?, ?)", (experiment_id, tag))

    def untag(self, experiment_id: str, tag: str) -> None:
        """Remove a tag from a run. Raises UnknownExperiment."""
        self._change(experiment_id, "DELETE FROM experiment_tags WHERE id = ? AND tag = ?", (experiment_id, tag))

    def annotate(self, experiment_id: str, note: str) -> None:
        """Replace a run's note; an empty note removes it. Raises UnknownExperiment."""
        if note:
            self._change(experiment_id, "INSERT OR REPLACE INTO experiment_notes VALUES (?, ?)", (experiment_id, note))
        else:
            self._change(experiment_id, "DELETE FROM experiment_notes WHERE id = ?", (experiment_id,))

    def delete(self, experiment_id: str) -> None:
        """Delete a run with its tags and note. Raises UnknownExperiment."""
        self._change(experiment_id, "DELETE FROM experiments WHERE id = ?", (experiment_id,))

    def known(self, ids: Iterable[str]) -> set[str]:
        """Those of `ids` that the notebook holds."""
        wanted = list(ids)
        found: set[str] = set()
        with self._words("read"):
            for start in range(0, len(wanted), 500):
                part = wanted[start : start + 500]
                marks = ",".join("?" * len(part))
                rows = self._conn.execute(f"SELECT id FROM experiments WHERE id IN ({marks})", part)
                found.update(row[0] for row in rows)
        return found

    def count(self, experiment: str | None = None) -> int:
        """How many experiments the notebook holds."""
        where, values = ("WHERE experiment = ?", [experiment]) if experiment else ("", [])
        with self._words("read"):
            return int(self._conn.execute(f"SELECT count(*) FROM experiments {where}", values).fetchone()[0])

    def versions(self) -> dict[str, int]:
        """How many experiments the notebook holds of each physics version."""
        with self._words("read"):
            rows = self._conn.execute(
                "SELECT physics_version, count(*) FROM experiments GROUP BY physics_version ORDER BY min(rowid)"
            )
            return {str(row[0]): int(row[1]) for row in rows}

    def other_physics(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Id, experiment and parameters of every result of another physics version, oldest first."""
        with self._words("read"):
            rows = self._conn.execute(
                "SELECT id, experiment, params FROM experiments WHERE physics_version != ? ORDER BY created, rowid",
                (PHYSICS_VERSION,),
            ).fetchall()
        found = [(row[0], row[1], stored_object(row[2])) for row in rows]
        self.skipped += sum(params is None for _, _, params in found)
        return [(key, experiment, params) for key, experiment, params in found if params is not None]

    def close(self) -> None:
        """Closes the connection; the notebook cannot be used after it."""
        self._conn.close()

    def __enter__(self) -> Notebook:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _results(self, rows: Iterable[Sequence[Any]], limit: int) -> Iterator[tuple[dict[str, Any], Sequence[Any]]]:
        """The first `limit` results of the rows, each with the row's further columns; others are counted."""
        for row in rows:
            if limit <= 0:
                return
            if (found := _result(row[0])) is None:
                self.skipped += 1
                continue
            limit -= 1
            yield found, tuple(row)[1:]

    def _change(self, experiment_id: str, sql: str, values: Sequence[str]) -> None:
        if not self.known([experiment_id]):
            self.get(experiment_id)
        with self._words("written"):
            self._conn.execute(sql, values)

    @contextmanager
    def _words(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeEncodeError) as error:
            raise NotebookError(in_words(str(self.path), verb, error)) from error
