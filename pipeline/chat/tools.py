"""Tool calls in plain text, for models and templates that know no native ones.

The form is one line, `TOOL: {"name": "tri", "args": {"seed": 3}}`, as the training data teaches it; the tags
`<tool_call>…</tool_call>` that Qwen and Hermes models write are read too.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.chat.events import Delta, Message, ToolCall

_MARKERS = ("TOOL:", "<tool_call>")
_END = "</tool_call>"
_LONGEST_CALL = 8000


class ToolReader:
    """Splits an answer that arrives in pieces into text and tool calls; text is passed on as soon as it can be."""

    def __init__(self) -> None:
        self._held = ""
        self._line_start = True
        self._after_call = False

    def feed(self, text: str) -> Iterator[Delta | ToolCall]:
        """What can be said of the answer now that `text` has come."""
        self._held += text
        while self._held:
            if self._after_call and not self._past_end_of_call():
                return
            if self._line_start:
                yield from self._start_of_line()
                if self._line_start:
                    return
            else:
                line, newline, self._held = self._held.partition("\n")
                self._line_start = bool(newline)
                yield Delta(line + newline)

    def end(self) -> Iterator[Delta | ToolCall]:
        """What was held back, now that nothing more comes."""
        held, self._held = self._held, ""
        call, rest = _read_call(held)
        if call:
            yield call
            held = rest.strip().removeprefix(_END)
        if held.strip() and not (self._after_call and _END.startswith(held.strip())):
            yield Delta(held)

    def _start_of_line(self) -> Iterator[Delta | ToolCall]:
        """Takes whole calls off the held text; leaves `_line_start` True where more text has to come first."""
        while True:
            line = self._held.lstrip()
            if not any(line.startswith(marker) or marker.startswith(line) for marker in _MARKERS):
                self._line_start = False
                return
            call, rest = _read_call(self._held)
            if call is None:
                self._line_start = len(self._held) <= _LONGEST_CALL and not _no_call(line)
                return
            yield call
            self._held, self._after_call = rest, True
            if not self._past_end_of_call():
                return

    def _past_end_of_call(self) -> bool:
        """Drops line breaks and the closing tag after a call; False where more text has to come first."""
        rest = self._held.lstrip()
        if rest.startswith(_END):
            rest = rest[len(_END) :].lstrip()
        self._held = rest
        if not rest or _END.startswith(rest):
            return False
        self._after_call = False
        return True


def _no_call(line: str) -> bool:
    """Whether a marker is followed by something that no JSON object starts with."""
    for marker in _MARKERS:
        if line.startswith(marker):
            after = line[len(marker) :].lstrip()
            return bool(after) and not after.startswith("{")
    return False


def _read_call(text: str) -> tuple[ToolCall | None, str]:
    """The call at the start of `text` and what follows it; None where it is not whole or no call."""
    line = text.lstrip()
    for marker in _MARKERS:
        if not line.startswith(marker):
            continue
        try:
            value, end = json.JSONDecoder().raw_decode(line[len(marker) :].lstrip())
        except (ValueError, RecursionError):
            return None, text
        rest = line[len(marker) :].lstrip()[end:]
        call = _call(value)
        return (call, rest) if call else (None, text)
    return None, text


def _call(value: Any) -> ToolCall | None:
    """A ToolCall from `{"name", "args"}` (or "arguments", or "parameters"); None from anything else."""
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return None
    arguments: Any = next((value[key] for key in ("args", "arguments", "parameters") if key in value), {})
    if not isinstance(arguments, Mapping):
        return None
    return ToolCall(f"call-{uuid.uuid4().hex[:8]}", value["name"], dict(arguments))


def describe(tools: Sequence[Mapping[str, Any]]) -> str:
    """What a model without native tools is told: the form of a call, and each tool's name, purpose and arguments."""
    lines = ['To run an experiment answer with one line: TOOL: {"name": NAME, "args": {…}}', "Tools:"]
    for tool in tools:
        function = tool.get("function", tool)
        properties = function.get("parameters", {}).get("properties", {})
        lines.append(f"- {function['name']}({', '.join(properties)}): {function.get('description', '')}".rstrip(": "))
    return "\n".join(lines)


def with_tools_in_words(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> list[Message]:
    """The messages with `describe(tools)` at the end of the system prompt."""
    text = describe(tools)
    if messages and messages[0]["role"] == "system":
        first: Message = {**messages[0], "content": f"{messages[0]['content']}\n\n{text}"}
        return [first, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def in_words(messages: Sequence[Message]) -> list[Message]:
    """The messages with calls as TOOL lines and tools' answers as the user's words, for templates without tools."""
    plain: list[Message] = []
    for message in messages:
        calls = [
            "TOOL: " + json.dumps({"name": c["function"]["name"], "args": c["function"]["arguments"]})
            for c in message.get("tool_calls", ())
        ]
        text = "\n".join([*([message["content"]] if message["content"] else []), *calls])
        if message["role"] == "tool":
            text = f"Result of {message.get('tool_name', 'the tool')}: {text}"
        role = "user" if message["role"] == "tool" else message["role"]
        plain.append({"role": role, "content": text})
    return plain
