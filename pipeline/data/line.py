"""One line of training data, and how a stranger's line becomes one.

    {"instruction": str, "input": str, "output": str,
     "meta": {"kind": str, "params": {...}, "experiment_ids": [...], "claims": [...], "split": "train"}}

A line of the user's own may leave out `input` and `meta`, or hold a chat: {"messages": [{"role", "content"}, …]},
whose last user turn is the instruction and whose next assistant turn is the output; meta then says how many other
messages were `left_out`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

LONGEST = 64_000
"""Characters of one line's three texts together; more never fits a small model's context."""


@dataclass(frozen=True)
class Sample:
    """One instruction, its optional input, the answer, and where they come from."""

    instruction: str
    input: str
    output: str
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """The user's turn as the model reads it."""
        return f"{self.instruction}\n\n{self.input}" if self.input else self.instruction

    def to_line(self) -> str:
        """The sample as one line of strict JSON, without its line break."""
        body = {"instruction": self.instruction, "input": self.input, "output": self.output, "meta": self.meta}
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
    if "conversations" in raw and "messages" not in raw:
        raise ValueError("conversations is not known: name it messages, each with role and content")
    sample = _from_chat(raw) if "messages" in raw else _from_fields(raw)
    if not sample.instruction.strip():
        raise ValueError("the instruction is empty")
    if not sample.output.strip():
        raise ValueError("the output is empty")
    size = len(sample.prompt) + len(sample.output)
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
    return Sample(texts[0], texts[1], texts[2], _meta(raw))


def _meta(raw: dict[str, Any]) -> dict[str, Any]:
    meta = raw.get("meta") or {}
    if not isinstance(meta, dict):
        raise ValueError(f"meta is {type(meta).__name__}, not an object")
    if not isinstance(meta.get("claims", []), list):
        raise ValueError("meta.claims is not a list")
    return meta


def _from_chat(raw: dict[str, Any]) -> Sample:
    messages = raw["messages"]
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise ValueError("messages is not a list of objects")
    for before, after in reversed(list(pairwise(messages))):
        if before.get("role") == "user" and after.get("role") == "assistant":
            texts = before.get("content"), after.get("content")
            if not all(isinstance(text, str) for text in texts):
                raise ValueError("a message's content is not text")
            meta, others = _meta(raw), sum(message.get("role") != "system" for message in messages) - 2
            return Sample(str(texts[0]), "", str(texts[1]), {**meta, "left_out": others} if others else meta)
    raise ValueError("no user message that an assistant message answers")
