"""From chat to data: a stored turn is accepted, corrected or rejected, and the next training set holds it.

A turn is one assistant message and the user message before it. Its texts are copied, so that deleting the chat
does not take them away. Accepted turns train on the answer as it was, corrected ones on the correction; rejected ones
are kept out, and so is any earlier verdict on the same message.

Where an experiment ran between question and answer, the model is to learn the call and not the numbers that came of it:
accepting keeps the TOOL line. An answer that was cut off can be corrected or rejected only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import simulator
from pipeline.chat.tool_text import call_text
from pipeline.chats import Chats, Message
from pipeline.data.line import LONGEST, Sample
from pipeline.data.regions import TRAIN
from pipeline.errors import BadInput, LabError
from pipeline.lab import Lab
from simulator.errors import NotebookError, SimulatorError
from simulator.sqlite import in_words, migrate, open_database

Verdict = Literal["accept", "correct", "reject"]
VERDICTS: tuple[Verdict, ...] = ("accept", "correct", "reject")
CHAT = "chat"
"""The kind of a sample that was a chat turn."""
_STEPS = [
    """
    CREATE TABLE feedback (
        message_id INTEGER PRIMARY KEY,
        session_id INTEGER NOT NULL,
        verdict TEXT NOT NULL,
        prompt TEXT NOT NULL,
        answer TEXT NOT NULL,
        correction TEXT NOT NULL,
        model TEXT NOT NULL,
        created TEXT NOT NULL
    );
    """
]


@dataclass(frozen=True, slots=True)
class Turn:
    """One judged turn; `correction` is "" unless the verdict is correct."""

    message_id: int
    session_id: int
    verdict: str
    prompt: str
    answer: str
    correction: str
    model: str
    created: str


def judge(lab: Lab, message_id: int | Literal["last"], verdict: str, correction: str = "") -> dict[str, Any]:
    """Stores a verdict on an answer of this lab (`last`: the newest) and returns it; a later verdict replaces it.

    Raises BadInput (unknown verdict, no such answer, nothing to correct to) or LabError.
    """
    if verdict not in VERDICTS:
        raise BadInput(f"{verdict[:40]!r} is not a verdict: use accept, correct or reject")
    correction = correction.strip()
    if (verdict == "correct") != bool(correction):
        raise BadInput(
            "correct needs the better answer as text: give it" if not correction else f"{verdict} takes no correction"
        )
    prompt, between, answer = _turn(lab.database, message_id)
    message_id = answer.id
    length = len(prompt.content) + len(correction or answer.content)
    if verdict != "reject" and length > LONGEST:
        raise BadInput(f"question and answer have {length} characters, above the largest, {LONGEST}: shorten them")
    if verdict == "accept" and answer.meta.get("partial"):
        raise BadInput(f"the answer {message_id} was cut off: correct it, or ask again and accept the whole one")
    model = str(answer.meta.get("model") or answer.meta.get("engine") or "")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    text = (_call(between) if verdict == "accept" else "") or answer.content
    turn = Turn(message_id, answer.session_id, verdict, prompt.content, text, correction, model, now)
    with _database(lab.database) as conn:
        conn.execute(
            "INSERT OR REPLACE INTO feedback VALUES "
            "(:message_id, :session_id, :verdict, :prompt, :answer, :correction, :model, :created)",
            asdict(turn),
        )
    return asdict(turn)


def judged(lab: Lab) -> list[Turn]:
    """Every judged turn, the oldest message first. Raises LabError."""
    if not lab.database.exists():
        return []
    with _database(lab.database) as conn:
        return [Turn(*row) for row in conn.execute("SELECT * FROM feedback ORDER BY message_id").fetchall()]


def accepted(lab: Lab) -> list[Sample]:
    """The turns to train on, with their provenance in meta. Raises LabError."""
    return [_sample(turn) for turn in judged(lab) if turn.verdict != "reject"]


def turn_of(sample: Sample) -> int | None:
    """The number of the answer that the sample is a judged chat turn of, None where it is none."""
    where = sample.meta.get("provenance")
    message = where.get("message") if sample.meta.get("kind") == CHAT and isinstance(where, dict) else None
    return message if isinstance(message, int) else None


def _sample(turn: Turn) -> Sample:
    where = {"session": turn.session_id, "message": turn.message_id, "model": turn.model, "judged": turn.created}
    meta = {
        "kind": CHAT,
        "params": {},
        "experiment_ids": [],
        "claims": [],
        "region": TRAIN.name,
        "provenance": {**where, "verdict": turn.verdict},
    }
    return Sample(turn.prompt, "", turn.correction or turn.answer, meta)


def _call(between: list[Message]) -> str:
    """The TOOL line of the first experiment that the model ran before its answer; "" where it ran none."""
    for message in between:
        result = message.meta.get("result") if message.role == "card" else None
        if not isinstance(result, dict) or str(result.get("experiment")) not in simulator.EXPERIMENTS:
            continue
        name, params = str(result["experiment"]), result.get("params") or {}
        try:
            checked = simulator.validate(simulator.EXPERIMENTS[name].params, params)
        except SimulatorError as error:
            raise BadInput(
                f"the run before this answer is no {name} of this version ({error}): correct or reject it"
            ) from error
        public = set(simulator.EXPERIMENTS[name].public.model_fields)
        return call_text(name, checked.model_dump(mode="json", include=public, exclude_defaults=True))
    return ""


def _turn(database: Path, message_id: int | Literal["last"]) -> tuple[Message, list[Message], Message]:
    """The question, what came in between, and the answer that has this id. Raises BadInput."""
    chats = Chats(database)
    try:
        found = chats.newest_answer() if message_id == "last" else chats.message(message_id)
        messages = chats.messages(found.session_id, before=found.id + 1) if found else []
    finally:
        chats.close()
    if not messages or messages[-1].role != "assistant" or not messages[-1].content.strip():
        if message_id == "last":
            raise BadInput("this lab's chats have no answer yet: chat in the console first, since `ask` stores nothing")
        raise BadInput(f"message {message_id} is not an answer of this lab's chats: give the number of one, or last")
    for place in reversed(range(len(messages) - 1)):
        if messages[place].role == "user" and messages[place].content.strip():
            return messages[place], messages[place + 1 : -1], messages[-1]
    raise BadInput(f"the answer {message_id} follows no question: choose another one")


@contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection with the feedback table, closed at the end; SQLite's troubles become LabError."""
    try:
        conn = open_database(path)
        migrate(conn, "feedback", _STEPS)
    except NotebookError as error:
        raise LabError(str(error)) from error
    try:
        yield conn
    except sqlite3.Error as error:
        raise LabError(in_words(f"{path} (its feedback)", "used", error)) from error
    finally:
        conn.close()
