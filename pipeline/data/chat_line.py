"""A chat as one sample: its last answer, the question before it, and the turns before those as its history.

    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}, …]}      (OpenAI)
    {"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}, …]}           (ShareGPT)

A system prompt is left out: the model is trained and served under the lab's own.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
}
"""What a turn's speaker is called, here and in other tools' files."""

Pairs = list[tuple[str, str]]


def pairs_of(raw: dict[str, Any]) -> tuple[Pairs, dict[str, Any]]:
    """Questions with their answers, oldest first, and for meta what was left out.

    Turns of one speaker in a row are one turn; what stands before the first question, and after the last answer, is
    left out. Raises ValueError for what is no text, a tool's call or result, or a chat without an answered question.
    """
    key = "messages" if "messages" in raw else "conversations"
    messages = raw[key]
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise ValueError(f"{key} is not a list of objects")
    turns = [(_role(message), _text(message)) for message in messages]
    spoken = [turn for turn in turns if turn[0] != "system"]
    merged = [
        (role, "\n\n".join(text for _, text in part), len(part))
        for role, part in ((role, list(some)) for role, some in groupby(spoken, key=lambda turn: turn[0]))
    ]
    first = next((place for place, turn in enumerate(merged) if turn[0] == "user"), len(merged))
    last = len(merged) - (len(merged) - first) % 2
    if last - first < 2:
        raise ValueError("no user message that an assistant message answers")
    questions, answers = merged[first:last:2], merged[first + 1 : last : 2]
    left_out = sum(turn[2] for turn in (*merged[:first], *merged[last:]))
    told: dict[str, Any] = {"left_out": left_out} if left_out else {}
    if len(spoken) < len(turns):
        told["system_left_out"] = True
    return [(question[1], answer[1]) for question, answer in zip(questions, answers, strict=True)], told


def history_of(raw: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The earlier turns of a line with fields, `"history": [[question, answer], …]`. Raises ValueError."""
    history = raw.get("history") or []
    if not isinstance(history, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in history
    ):
        raise ValueError("history is not a list of [question, answer] pairs")
    return tuple((pair[0], pair[1]) for pair in history)


def _role(message: dict[str, Any]) -> str:
    name = message.get("role", message.get("from"))
    calls = message.get("tool_calls") or message.get("function_call")
    if calls or name in ("tool", "function", "tool_call", "function_call", "observation"):
        raise ValueError("the chat holds a tool's call or result, which is not read: leave those messages out")
    if not isinstance(name, str) or name not in ROLES:
        raise ValueError(f"a message's role is {str(name)[:40]!r}: use user, assistant or system")
    return ROLES[name]


def _text(message: dict[str, Any]) -> str:
    """A message's text; one in parts is joined. Raises ValueError where something else is among them."""
    content = message.get("content", message.get("value"))
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
