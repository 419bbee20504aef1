"""The text of tool calls and their results: the same in training, in every engine, and in Ollama's template.

    Tools: run_phase, tri                                             ends the system prompt if tools can run
    TOOL: {"name": "tri", "arguments": {"phase_type":"spt_cluster"}}  a call: a line of the assistant's turn
    RESULT: tri: phase_type spt_cluster, …                            its result: a turn in the user's role

Ollama's parsers take `TOOL:` from the template and read "name" and "arguments" after it. Its templates render the
arguments as Go does: no spaces, keys sorted, so past calls are written that way here too. `result_text` writes what
follows `RESULT:`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pipeline.chat.events import Message

CALL = "TOOL:"
RESULT = "RESULT:"
TOOLS = "Tools:"


def call_text(name: str, arguments: Mapping[str, Any]) -> str:
    """Return the line of one call, its arguments in the order given."""
    return f'{CALL} {{"name": {_json(name)}, "arguments": {_json(arguments)}}}'


def tools_text(tools: Sequence[Mapping[str, Any]]) -> str:
    """Return the line that names the tools that can run, in the order of their schemas."""
    return f"{TOOLS} {', '.join(str(tool.get('function', tool)['name']) for tool in tools)}"


def with_system_text(messages: Sequence[Message], text: str) -> list[Message]:
    """Return the messages with `text` as the last paragraph of the system prompt."""
    if messages and messages[0]["role"] == "system":
        first: Message = {**messages[0], "content": f"{messages[0]['content']}\n\n{text}"}
        return [first, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def as_turns(messages: Sequence[Message], *, keep_tool_role: bool = False) -> list[Message]:
    """Return the messages in the roles that every chat template has, with calls and results as text.

    Like Ollama, this joins neighbouring messages of one role, but not results. Ollama itself would join results that
    it is sent in the user's role: `keep_tool_role` leaves theirs for a template that writes `RESULT:` before them.
    """
    turns: list[Message] = []
    former = ""
    for message in messages:
        text, role = message["content"], message["role"]
        if role == "tool" and keep_tool_role:
            turns.append({"role": role, "content": text})
        elif role == "tool":
            turns.append({"role": "user", "content": f"{RESULT} {text}"})
        else:
            text = "\n".join([*([text] if text else []), *map(_past_call, message.get("tool_calls", ()))])
            if role == former:
                turns[-1] = {"role": role, "content": f"{turns[-1]['content']}\n\n{text}"}
            else:
                turns.append({"role": role, "content": text})
        former = role
    return turns


def _past_call(call: Mapping[str, Any]) -> str:
    function = call["function"]
    return call_text(function["name"], _sorted(function["arguments"]))


def _sorted(value: Any) -> Any:
    """Return `value` with the keys of every object in it sorted, as Go writes a map."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list | tuple) else value


def _json(value: Any) -> str:
    """Return `value` as Go's json.Marshal writes what it has read from JSON."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_json(str(key))}:{_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_json, value)) + "]"
    if isinstance(value, float):
        return _number(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if isinstance(value, int) else _without_html(text)


def _number(value: float) -> str:
    """Return the shortest text: whole floats as integers, exponents only below 1e-6 and from 1e21 on."""
    if 1e-6 <= abs(value) < 1e21 or value == 0:
        return f"{Decimal(repr(value)):f}".removesuffix(".0")
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+03d}".replace("e-0", "e-")


def _without_html(text: str) -> str:
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
