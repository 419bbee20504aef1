"""One line of training data, and how a stranger's line becomes one.

    {"instruction": str, "input": str, "output": str,
     "meta": {"kind": str, "params": {...}, "experiment_ids": [...], "claims": [...], "region": "train"}}
    {"messages": [{"role", "content"}, …], "meta": {…}}

The second form is a conversation: roles user, assistant and tool, an assistant's calls as `tool_calls`. `"tools": true`
says that the model could run experiments; its system prompt then names them. A line of the user's own may leave out
`input` and `meta`, give earlier turns as `"history": [[question, answer], …]`, or hold a chat (see `chat_line`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.chat.events import Message
from pipeline.chat.tool_text import as_turns
from pipeline.data.chat_line import turns_of, turns_of_history

LONGEST = 64_000
"""Characters of one line's texts together; more never fits a small model's context."""


@dataclass(frozen=True)
class Sample:
    """One instruction, its optional input, the answer, and where they come from.

    Attributes:
        messages: the turns of a conversation, from its first question to its last answer; empty for a single question.
            `instruction` and `output` are then its last question and its last answer.
        tools: whether experiments could be run, so that the system prompt names them.
    """

    instruction: str
    input: str
    output: str
    meta: dict[str, Any] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    tools: bool = False

    @property
    def prompt(self) -> str:
        """The last question as the model reads it."""
        return f"{self.instruction}\n\n{self.input}" if self.input else self.instruction

    @property
    def turns(self) -> list[Message]:
        """Every turn but the system prompt, calls and results as text."""
        if self.messages:
            return as_turns(self.messages)
        return [{"role": "user", "content": self.prompt}, {"role": "assistant", "content": self.output}]

    @property
    def context(self) -> str:
        """All that the last answer is given to: the turns before it, and whether experiments can be run."""
        texts = [turn["content"] for turn in self.turns[:-1]]
        return "\n\n".join([*texts, "(tools)"] if self.tools else texts)

    def to_line(self) -> str:
        """Return the sample as one line of strict JSON, without its line break."""
        body: dict[str, Any] = (
            {"messages": self.messages}
            if self.messages
            else {"instruction": self.instruction, "input": self.input, "output": self.output}
        )
        body |= {"tools": True} if self.tools else {}
        body["meta"] = self.meta
        return json.dumps(body, ensure_ascii=False, allow_nan=False)


def conversation(turns: tuple[Message, ...], meta: dict[str, Any], tools: bool = False) -> Sample:
    """Return the sample of a conversation that ends with an assistant's turn."""
    question = next(turn["content"] for turn in reversed(turns) if turn["role"] == "user")
    return Sample(question, "", as_turns(turns)[-1]["content"], meta, turns, tools)


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
    if not isinstance(raw.get("tools", False), bool | list):
        raise ValueError(f"tools is {type(raw['tools']).__name__}, not true or false")
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
    meta = _meta(raw) | ({"system_left_out": True} if raw.get("system") else {})
    sample = Sample(texts[0], texts[1], texts[2], meta, tools=bool(raw.get("tools")))
    if not (earlier := turns_of_history(raw)):
        return sample
    turns = (*earlier, Message(role="user", content=sample.prompt), Message(role="assistant", content=sample.output))
    return conversation(turns, meta, sample.tools)


def _meta(raw: dict[str, Any]) -> dict[str, Any]:
    meta = raw.get("meta") or {}
    if not isinstance(meta, dict):
        raise ValueError(f"meta is {type(meta).__name__}, not an object")
    if not isinstance(meta.get("claims", []), list):
        raise ValueError("meta.claims is not a list")
    return meta


def _from_chat(raw: dict[str, Any]) -> Sample:
    turns, told = turns_of(raw)
    calls = any("tool_calls" in turn for turn in turns)
    sample = conversation(turns, {**_meta(raw), **told}, tools=bool(raw.get("tools", calls)) or calls)
    return sample if len(turns) > 2 or calls else replace(sample, messages=())


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
