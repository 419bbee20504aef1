"""One line of training data, and how a stranger's line becomes one.

    {"instruction": str, "input": str, "output": str,
     "meta": {"kind": str, "params": {...}, "experiment_ids": [...], "claims": [...], "split": "train"}}

A line of the user's own may leave out `input` and `meta`, or hold a chat (see `chat_line`), whose last question is the
instruction, whose last answer is the output, and whose turns before them are "history": [[question, answer], …].
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pipeline.data.chat_line import history_of, pairs_of

LONGEST = 64_000
"""Characters of one line's texts together; more never fits a small model's context."""


@dataclass(frozen=True)
class Sample:
    """One instruction, its optional input, the answer, where they come from, and the turns of a chat before them."""

    instruction: str
    input: str
    output: str
    meta: dict[str, Any] = field(default_factory=dict)
    history: tuple[tuple[str, str], ...] = ()

    @property
    def prompt(self) -> str:
        """The user's turn as the model reads it."""
        return f"{self.instruction}\n\n{self.input}" if self.input else self.instruction

    @property
    def context(self) -> str:
        """All that the answer is given to: the turns before the prompt, and the prompt."""
        return "\n\n".join([*(text for pair in self.history for text in pair), self.prompt])

    def to_line(self) -> str:
        """The sample as one line of strict JSON, without its line break."""
        body: dict[str, Any] = {"instruction": self.instruction, "input": self.input, "output": self.output}
        body |= {"history": self.history} if self.history else {}
        body["meta"] = self.meta
        return json.dumps(body, ensure_ascii=False, allow_nan=False)


def parse(line: str) -> Sample:
    """The sample of one line. Raises ValueError with what is wrong with it."""
    try:
        raw = json.loads(line, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error
    if not isinstance(raw, dict):
        many = isinstance(raw, list)
        raise ValueError("a JSON array: write one object a line, without brackets" if many else "not a JSON object")
    sample = _from_chat(raw) if "messages" in raw or "conversations" in raw else _from_fields(raw)
    if not sample.instruction.strip():
        raise ValueError("the instruction is empty")
    if not sample.output.strip():
        raise ValueError("the output is empty")
    size = len(sample.context) + len(sample.output)
    if size > LONGEST:
        raise ValueError(f"{size} characters of text, above the largest, {LONGEST}")
    try:
        sample.to_line().encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("half a surrogate pair in the text, which UTF-8 cannot hold") from error
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error
    except ValueError as error:
        raise ValueError("meta holds a number beyond what a float can be") from error
    return sample


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON knows")


def _from_fields(raw: dict[str, Any]) -> Sample:
    texts = []
    for name in ("instruction", "input", "output"):
        value = raw.get(name, "" if name == "input" else None)
        if value is None and name == "input":
            value = ""
        if not isinstance(value, str):
            raise ValueError(f"no {name}" if value is None else f"{name} is {type(value).__name__}, not text")
        texts.append(value)
    told = {"system_left_out": True} if raw.get("system") else {}
    return Sample(texts[0], texts[1], texts[2], {**_meta(raw), **told}, history_of(raw))


def _meta(raw: dict[str, Any]) -> dict[str, Any]:
    meta = raw.get("meta") or {}
    if not isinstance(meta, dict):
        raise ValueError(f"meta is {type(meta).__name__}, not an object")
    if not isinstance(meta.get("claims", []), list):
        raise ValueError("meta.claims is not a list")
    return meta


def _from_chat(raw: dict[str, Any]) -> Sample:
    pairs, told = pairs_of(raw)
    question, answer = pairs[-1]
    return Sample(question, "", answer, {**_meta(raw), **told}, tuple(pairs[:-1]))


def chat_notes(samples: Iterable[Sample]) -> list[str]:
    """What of a file's chats is not trained on, in sentences."""
    systems = cut = 0
    for sample in samples:
        systems += bool(sample.meta.get("system_left_out"))
        cut += bool(sample.meta.get("left_out"))
    notes = []
    if systems:
        notes.append(f"{systems} lines have a system prompt of their own, which is left out: the lab's is used")
    if cut:
        notes.append(f"{cut} chats have messages before their first question or after their last answer: left out")
    return notes
