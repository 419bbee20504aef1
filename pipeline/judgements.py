"""What the person decided about runs and answers: explanations kept with an experiment, and preferred answers.

Explanations stand in lab.db; preferences are lines of data/preferences.jsonl, `{"prompt", "chosen", "rejected",
"models", "created"}`, the form that preference training takes.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipeline.errors import LabError
from simulator.errors import NotebookError
from simulator.private_files import opener, private_folder
from simulator.sqlite import in_words, migrate, open_database

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.lab import Lab

_STEPS = [
    """
    CREATE TABLE explanations (
        experiment_id TEXT PRIMARY KEY,
        text TEXT NOT NULL,
        model TEXT NOT NULL,
        created TEXT NOT NULL
    );
    """
]


def keep_explanation(lab: Lab, experiment_id: str, text: str, model: str) -> None:
    """Stores the explanation of an experiment; a later one replaces it. Raises LabError."""
    _execute(
        lab,
        "INSERT OR REPLACE INTO explanations VALUES (?, ?, ?, ?)",
        (experiment_id, text, model, datetime.now(UTC).isoformat(timespec="seconds")),
    )


def explanation(lab: Lab, experiment_id: str) -> dict[str, Any] | None:
    """The stored explanation as {"text", "model", "created"}, or None. Raises LabError."""
    rows = _execute(lab, "SELECT text, model, created FROM explanations WHERE experiment_id = ?", (experiment_id,))
    return dict(rows[0]) if rows else None


def forget_explanation(lab: Lab, experiment_id: str) -> None:
    """Delete the stored explanation of an experiment, if there is one. Raises LabError."""
    _execute(lab, "DELETE FROM explanations WHERE experiment_id = ?", (experiment_id,))


def preferences_path(lab: Lab) -> Path:
    """Where preferences are kept."""
    return lab.data.with_name("preferences.jsonl")


def prefer(lab: Lab, prompt: str, chosen: str, rejected: str, models: tuple[str, str]) -> Path:
    """Appends one preference; the first of `models` gave the chosen answer. Raises LabError."""
    path = preferences_path(lab)
    record = {
        "prompt": prompt,
        "chosen": chosen,
        "rejected": rejected,
        "models": list(models),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        private_folder(path.parent)
        with open(path, "a", encoding="utf-8", opener=opener) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise LabError(
            f"{path} cannot be written ({error.strerror or error}): make room or make it writable"
        ) from error
    return path


def _execute(lab: Lab, sql: str, values: tuple[str, ...]) -> list[sqlite3.Row]:
    try:
        conn = open_database(lab.database)
    except NotebookError as error:
        raise LabError(str(error)) from error
    try:
        migrate(conn, "explanations", _STEPS)
        return conn.execute(sql, values).fetchall()
    except NotebookError as error:
        raise LabError(str(error)) from error
    except sqlite3.Error as error:
        raise LabError(in_words(str(lab.database), "used", error)) from error
    finally:
        conn.close()
