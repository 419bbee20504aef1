"""A chat as one sample: every turn in the lab's own form, whatever tool wrote the file.

    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}, …]}      (OpenAI)
    {"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}, …]}           (ShareGPT)

Calls of experiments and their results are taken in: OpenAI's `tool_calls` with messages of role `tool`, ShareGPT's
`function_call` with `observation`. A chat's own system prompt is replaced by the lab's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pipeline.chat.events import Message

ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "tool_call": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "tool_response": "tool",
}
"""What a turn's speaker is called, here and in other tools' files."""

MOST_TURNS = 200


def turns_of(raw: dict[str, Any]) -> tuple[tuple[Message, ...], dict[str, Any]]:
    """Return the turns from the first question to the last answer, and for `meta` what was left out.

    Raises ValueError for a turn that is not text, an unknown role, a call that the lab could not run, a result
    without a call, more than 200 turns, or a chat without an answered question.
    """
    key = "messages" if "messages" in raw else "conversations"
    given = raw[key]
    if not isinstance(given, list) or not all(isinstance(message, dict) for message in given):
        raise ValueError(f"{key} is not a list of objects")
    if len(given) > MOST_TURNS:
        raise ValueError(f"{len(given)} turns are more than {MOST_TURNS}: split the chat")
    turns = [_message(message) for message in given]
    spoken = [turn for turn in turns if turn["role"] != "system"]
    first = next((i for i, turn in enumerate(spoken) if turn["role"] == "user"), len(spoken))
    last = next((i for i in reversed(range(len(spoken))) if spoken[i]["role"] == "assistant"), -1)
    if last < first:
        raise ValueError("the chat has no user message that an assistant message answers")
    kept = spoken[first : last + 1]
    _check_results(kept)
    told: dict[str, Any] = {"left_out": len(spoken) - len(kept)} if len(kept) < len(spoken) else {}
    if len(spoken) < len(turns):
        told["system_left_out"] = True
    return tuple(_joined(kept)), told


def _joined(turns: list[Message]) -> Iterator[Message]:
    """The turns, with those of one speaker in a row as one."""
    for role, some in groupby(turns, key=lambda turn: turn["role"]):
        group = list(some)
        if role == "tool" or len(group) == 1 or any("tool_calls" in turn for turn in group):
            yield from group
        else:
            yield Message(role=role, content="\n\n".join(turn["content"] for turn in group))


def turns_of_history(raw: dict[str, Any]) -> tuple[Message, ...]:
    """Return the earlier turns of `"history": [[question, answer], …]`. Raises ValueError."""
    history = raw.get("history") or []
    if not isinstance(history, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in history
    ):
        raise ValueError("history is not a list of [question, answer] pairs")
    if len(history) > MOST_TURNS // 2:
        raise ValueError(f"{2 * len(history)} turns are more than {MOST_TURNS}: split the chat")
    return tuple(
        Message(role=role, content=text)
        for pair in history
        for role, text in zip(("user", "assistant"), pair, strict=True)
    )


def _message(raw: dict[str, Any]) -> Message:
    name = raw.get("role", raw.get("from"))
    if not isinstance(name, str) or name not in ROLES:
        raise ValueError(
            f"a message's role is {str(name)[:40]!r}, which is unknown: use user, assistant, tool or system"
        )
    calls = _calls(raw, name)
    message = Message(role=ROLES[name], content="" if calls else _text(raw))
    if calls:
        message["content"] = "" if name in ("function_call", "tool_call") else _text(raw, may_be_empty=True)
        message["tool_calls"] = calls
    if message["role"] == "tool" and isinstance(tool := raw.get("tool_name", raw.get("name")), str):
        message["tool_name"] = tool
    return message


def _calls(raw: dict[str, Any], role: str) -> list[dict[str, Any]]:
    """The calls of one message, checked against the lab's experiments."""
    if role in ("function_call", "tool_call"):
        asked: Any = [_decoded(_text(raw), "call")]
    else:
        single = raw.get("function_call")
        asked = raw.get("tool_calls") or ([single] if single else [])
    if not isinstance(asked, list):
        raise ValueError("tool_calls is not a list")
    return [_call(call) for call in asked]


def _call(call: Any) -> dict[str, Any]:
    from pipeline.chat.tools import read_call
    from pipeline.data.tool_line import check_call

    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise ValueError("a tool call has no function")
    if isinstance(function.get("arguments"), str):
        function = {**function, "arguments": _decoded(function["arguments"], "call's arguments")}
    found = read_call(function)
    if found is None:
        raise ValueError("a tool call has no name, or its arguments are not an object")
    check_call(*found)
    return {"function": {"name": found[0], "arguments": found[1]}}


def _decoded(text: str, what: str) -> Any:
    try:
        return json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ValueError(f"a {what} is not JSON ({str(error)[:60]})") from error


def _check_results(turns: list[Message]) -> None:
    """Raises ValueError for a result that answers no call."""
    open_calls = 0
    for turn in turns:
        if turn["role"] == "assistant":
            open_calls = len(turn.get("tool_calls", ()))
        elif turn["role"] == "tool":
            open_calls -= 1
            if open_calls < 0:
                raise ValueError("a tool's result follows no call: put the assistant's call before it")


def _text(message: dict[str, Any], may_be_empty: bool = False) -> str:
    """A message's text; one in parts is joined. Raises ValueError if something else is among them."""
    content = message.get("content", message.get("value"))
    if content is None and may_be_empty:
        return ""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        for part in content:
            if not isinstance(part.get("text"), str):
                raise ValueError(
                    f"a message holds a part of type {str(part.get('type'))[:40]!r}, and only text is read"
                )
        content = "\n".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise ValueError("a message's content is not text")
    return content
