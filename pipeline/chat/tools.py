"""Tool calls in plain text, for models and templates that know no native ones.

The form is the one line of `tool_text.call_text`, as the training data teaches it. Also read are the older form
with "args", and the tags `<tool_call>…</tool_call>` that Qwen and Hermes models write.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.chat.events import Delta, ToolCall
from pipeline.chat.tool_text import CALL

_MARKERS = (CALL, "<tool_call>")
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
    found = read_call(value)
    return ToolCall(f"call-{uuid.uuid4().hex[:8]}", *found) if found else None


def read_call(value: Any) -> tuple[str, dict[str, Any]] | None:
    """Return (name, arguments) of `{"name", "arguments"}` ("args" and "parameters" are read too), else None."""
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return None
    arguments: Any = next((value[key] for key in ("arguments", "args", "parameters") if key in value), {})
    return (value["name"], dict(arguments)) if isinstance(arguments, Mapping) else None


def describe(tools: Sequence[Mapping[str, Any]]) -> str:
    """Return what a model that has not learned the tools is told: the form of a call, and what each tool does."""
    lines = [f'To run an experiment answer with one line: {CALL} {{"name": NAME, "arguments": {{…}}}}', "Tools:"]
    for tool in tools:
        function = tool.get("function", tool)
        properties = function.get("parameters", {}).get("properties", {})
        lines.append(f"- {function['name']}({', '.join(properties)}): {function.get('description', '')}".rstrip(": "))
    return "\n".join(lines)
