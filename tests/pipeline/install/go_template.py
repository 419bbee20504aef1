"""A renderer for the part of Go's text/template that chat templates use, so that the contract server runs them.

Actions: if, else if, else, range with variables, with, end, fields, variables, strings, eq, and, or, not, and the
`{{-` and `-}}` trims. Anything else raises ValueError, as a template that Ollama refuses would be an error there.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

_ACTION = re.compile(r"(\{\{-? ?.*?(?: -)?\}\})", re.S)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\(|\)|[^\s()]+')


def render(template: str, values: dict[str, Any]) -> str:
    """Return the text that the template makes of the values."""
    parts = _trimmed(_ACTION.split(template))
    return _run(_block(parts, ())[0], values, {"$": values})


def variables(template: str) -> set[str]:
    """Return the names of all fields in lower case, as Ollama's `Vars` does."""
    return {name.lower() for action in _ACTION.findall(template) for name in re.findall(r"\.(\w+)", action)}


def call_tag(template: str) -> str:
    """Return the tag that Ollama's tool parser looks for: the first text in `if .ToolCalls`, up to a brace."""
    _, _, rest = template.partition("{{ if .ToolCalls }}")
    texts = [part for part in _ACTION.split(rest)[::2] if part.strip()]
    return (texts[0].partition("{")[0].strip() if texts else "") or "{"


def _trimmed(parts: list[str]) -> list[str]:
    for place in range(1, len(parts), 2):
        if parts[place].startswith("{{- "):
            parts[place - 1] = parts[place - 1].rstrip()
        if parts[place].endswith(" -}}"):
            parts[place + 1] = parts[place + 1].lstrip()
        parts[place] = parts[place].removeprefix("{{").removeprefix("-").removesuffix("}}").removesuffix("-").strip()
    return parts


def _block(parts: list[str], ends: tuple[str, ...], place: int = 0) -> tuple[list[Any], int]:
    """Return the nodes up to one of the ends, and where that stands. Odd places are actions."""
    nodes: list[Any] = []
    while place < len(parts):
        if place % 2 == 0:
            nodes.append(parts[place])
        else:
            word = parts[place].split()[0]
            if word in ends:
                return nodes, place
            if word in ("if", "range", "with"):
                node, place = _branch(word, parts[place].partition(" ")[2], parts, place)
                nodes.append(node)
            else:
                nodes.append(("show", parts[place]))
        place += 1
    if ends:
        raise ValueError("unexpected EOF in the template")
    return nodes, place


def _branch(kind: str, test: str, parts: list[str], place: int) -> tuple[Any, int]:
    body, place = _block(parts, ("else", "end"), place + 1)
    other: list[Any] = []
    if parts[place].startswith("else if "):
        node, place = _branch("if", parts[place].removeprefix("else if "), parts, place)
        return (kind, test, body, [node]), place
    if parts[place] == "else":
        other, place = _block(parts, ("end",), place + 1)
    return (kind, test, body, other), place


def _run(nodes: list[Any], dot: Any, names: dict[str, Any]) -> str:
    return "".join(node if isinstance(node, str) else _node(node, dot, names) for node in nodes)


def _node(node: tuple[Any, ...], dot: Any, names: dict[str, Any]) -> str:
    kind, test, *rest = node
    if kind == "show":
        return _text(_value(test, dot, names))
    declared, _, pipe = test.rpartition(" := ")
    value = _value(pipe, dot, names)
    if kind == "if":
        return _run(rest[0] if value else rest[1], dot, names)
    if kind == "with":
        return _run(rest[0], value, names) if value else _run(rest[1], dot, names)
    own = [name.strip() for name in declared.split(",")] if declared else []
    made = []
    for number, item in enumerate(value or ()):
        bound = dict(zip(own, (number, item) if len(own) == 2 else (item,), strict=False))
        made.append(_run(rest[0], item, {**names, **bound}))
    return "".join(made) or _run(rest[1], dot, names)


def _value(text: str, dot: Any, names: dict[str, Any]) -> Any:
    words = _WORD.findall(text)
    values: list[Any] = []
    while words:
        values.append(_term(words, dot, names))
    return _call(values)


def _term(words: list[str], dot: Any, names: dict[str, Any]) -> Any:
    word = words.pop(0)
    if word == "(":
        inner: list[Any] = []
        while words[0] != ")":
            inner.append(_term(words, dot, names))
        words.pop(0)
        return _call(inner)
    if word.startswith('"'):
        return json.loads(word)
    if word in ("eq", "and", "or", "not", "gt", "len", "json"):
        return word
    name, *fields = word.split(".")
    if name not in ("", *names):
        raise ValueError(f"undefined variable or function {name!r} in the template")
    value = names[name] if name else dot
    for field in filter(None, fields):
        if isinstance(value, dict) and field not in value and dot is not value:
            raise ValueError(f"can't evaluate field {field}")
        value = value.get(field) if isinstance(value, dict) else None
    return value


def _call(values: list[Any]) -> Any:
    match values:
        case ["eq", one, other]:
            return one == other
        case ["not", one]:
            return not one
        case ["and", *some]:
            return next((item for item in some if not item), some[-1])
        case ["or", *some]:
            return next((item for item in some if item), some[-1])
        case [value]:
            return value
    raise ValueError(f"the template calls {values!r}")


def _text(value: Any) -> str:
    """Return a value as Go prints it: tool arguments are JSON with sorted keys and no spaces."""
    if isinstance(value, dict | list):
        return _marshalled(value)
    return "" if value is None else str(value)


def _marshalled(value: Any) -> str:
    """Return JSON as Go's json.Marshal writes it: whole floats without a point, exponents only for tiny numbers."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_marshalled(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_marshalled, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, float) and abs(value) >= 1e-6:
        return f"{Decimal(str(value)):f}"
    return json.dumps(value, ensure_ascii=False)
