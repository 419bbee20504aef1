"""Tool calls in plain text, for models and templates that know no native ones.

The form is the one line of `tool_text.call_text`, as the training data teaches it. Also read are the older form
with "args", and the tags `<tool_call>…</tool_call>` that Qwen and Hermes models write.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pipeline.chat.events import Delta, ToolCall
from pipeline.chat.tool_text import CALL

_MARKERS = (CALL, "<tool_call>")
_END = "</tool_call>"
_LONGEST_CALL = 8000


class ToolReader:
    """Splits an answer that arrives in pieces into text and tool calls; text is passed on as soon as it can be.

    A call may stand in the middle of a line. One that breaks off is a call too, of no tool, so that its reason goes
    back to the model. If no tools were `offered`, a call becomes the command that a person can run.
    """

    def __init__(self, offered: bool = True) -> None:
        self._offered = offered
        self._held = ""
        self._line_start = True
        self._after_call = False
        self._rejected = False

    def feed(self, text: str) -> Iterator[Delta | ToolCall]:
        """What can be said of the answer now that `text` has come."""
        self._held += text
        while self._held:
            if self._after_call and not self._past_end_of_call():
                return
            if self._line_start:
                yield from map(self._told, self._start_of_line())
                if self._line_start:
                    return
                self._rejected = True
            elif not (ready := self._line()):
                return
            else:
                yield Delta(ready)

    def end(self) -> Iterator[Delta | ToolCall]:
        """What was held back, now that nothing more comes."""
        held, self._held = self._held, ""
        call, rest = _read_call(held)
        if call is None and _is_broken(held):
            call, rest = ToolCall(new_id(), held.strip()[:60], {}), ""
        if call:
            yield self._told(call)
            held = rest.strip().removeprefix(_END)
        if held.strip() and not (self._after_call and _END.startswith(held.strip())):
            yield Delta(held)

    def _told(self, event: Delta | ToolCall) -> Delta | ToolCall:
        if self._offered or isinstance(event, Delta):
            return event
        from pipeline.chat.lab_tools import command_line, schemas

        known = {tool["function"]["name"]: tool["function"]["parameters"]["properties"] for tool in schemas()}
        # A person may type more than a model may name, such as a cluster.
        if event.name not in known or not event.arguments.keys() <= known[event.name].keys():
            return Delta("(A call of a tool was left out: nothing can be run here.)")
        return Delta(f"To run this, use `{command_line(event.name, event.arguments)}`.")

    def _line(self) -> str:
        """Takes the text up to the next mark or line break off what is held; "" where more has to come first."""
        line, newline, rest = self._held.partition("\n")
        mark = line.find(CALL, 1 if self._rejected else 0)
        self._rejected = False
        if mark >= 0:
            self._held, self._line_start = self._held[mark:], True
            return line[:mark]
        if newline:
            self._held, self._line_start = rest, True
            return line + newline
        begun = next((size for size in range(len(CALL) - 1, 0, -1) if line.endswith(CALL[:size])), 0)
        self._held = line[len(line) - begun :]
        return line[: len(line) - begun]

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


def _is_broken(text: str) -> bool:
    """Whether a call begins here and breaks off, or is none."""
    line = text.lstrip()
    return line.startswith(CALL) and line[len(CALL) :].lstrip().startswith("{")


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
    return ToolCall(new_id(), *found) if found else None


def new_id() -> str:
    """Return an id for a call, unlike that of any other in the chat."""
    return f"call-{uuid.uuid4().hex[:8]}"


def read_call(value: Any) -> tuple[str, dict[str, Any]] | None:
    """Return (name, arguments) of `{"name", "arguments"}` else None.

    "args" and "parameters" are read too, and arguments as a JSON text.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return None
    arguments: Any = next((value[key] for key in ("arguments", "args", "parameters") if key in value), {})
    if isinstance(arguments, str):
        with suppress(ValueError, RecursionError):
            arguments = json.loads(arguments or "{}")
    return (value["name"], dict(arguments)) if isinstance(arguments, Mapping) else None


def describe(tools: Sequence[Mapping[str, Any]]) -> str:
    """Return what a model that has not learned the tools is told: the form of a call, and what each tool does."""
    lines = [f'To run an experiment answer with one line: {CALL} {{"name": NAME, "arguments": {{…}}}}', "Tools:"]
    for tool in tools:
        function = tool.get("function", tool)
        properties = function.get("parameters", {}).get("properties", {})
        lines.append(f"- {function['name']}({', '.join(properties)}): {function.get('description', '')}".rstrip(": "))
    return "\n".join(lines)
