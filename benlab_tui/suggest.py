"""Slash completion: what may come next in the line, read from the registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from benlab_tui.registry import Command
from benlab_tui.text import one_line
from simulator.phase_names import full_name

MOST = 40
QUERY_LENGTH = 40
"""Longer words match nothing."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`line` is the whole line once it is taken; `label` and `help` are what the list shows."""

    line: str
    label: str
    help: str


def suggest(line: str, commands: Mapping[str, Command]) -> list[Suggestion]:
    """Commands, then the first word's choices, then parameters with their bounds, then values. Never raises."""
    if not line.startswith("/") or line.startswith("//") or "\n" in line or len(line) > 500:
        return []
    head, space, rest = line[1:].partition(" ")
    if not space:
        return _commands(head, commands)
    command = commands.get(head)
    if command is None:
        return []
    before, _, word = rest.rpartition(" ")
    typed = before.split()
    prefix = f"/{head} " + (before + " " if before else "")
    model = command.params
    if command.variants is not None:
        variants = command.variants()
        if not typed:
            return _choices(prefix, word, {name: _summary(kind) for name, kind in variants.items()})
        if typed[0] not in variants:
            return []
        model, typed = variants[typed[0]], typed[1:]
    return _parameters(prefix, word, typed, command, model)


def _commands(head: str, commands: Mapping[str, Command]) -> list[Suggestion]:
    found = _ranked(head, commands, lambda name: name) or _ranked(head, commands, lambda name: commands[name].summary)
    return [Suggestion(f"/{name} ", f"/{name}", commands[name].summary) for name in found]


def _choices(prefix: str, word: str, choices: Mapping[str, str]) -> list[Suggestion]:
    return [Suggestion(f"{prefix}{name} ", name, choices[name]) for name in _ranked(word, choices, lambda name: name)]


def _parameters(
    prefix: str, word: str, typed: Iterable[str], command: Command, model: type[BaseModel]
) -> list[Suggestion]:
    fields = _fields(model)
    name, equals, value = word.removeprefix("--").partition("=")
    if equals:
        return _values_after(f"{prefix}{name}=", value, fields.get(name.replace("-", "_"), {}))
    used = {part.removeprefix("--").partition("=")[0].replace("-", "_") for part in typed}
    free = {name: field for name, field in fields.items() if name not in used}
    if command.rest and not word:
        free = {}
    found = _ranked(word.removeprefix("--"), free, lambda name: name) if not command.rest or word else []
    listed = [Suggestion(f"{prefix}{name}=", name, describe(free[name])) for name in found]
    if not word and not used and not listed:
        listed = [Suggestion(f"/{text} ", f"/{text}", "example") for text in command.examples]
    return listed


def _values_after(start: str, value: str, field: Mapping[str, Any]) -> list[Suggestion]:
    """The values that may follow `name=`; in a list of choices, the choices for the item after its last comma."""
    former = ""
    if field.get("items", {}).get("enum"):
        former, comma, value = value.rpartition(",")
        former += comma
    taken = {full_name(text) for text in former.split(",")}
    free = [text for text in _values(field) if text not in taken]
    found = _ranked(value, free, lambda text: text)
    return [Suggestion(f"{start}{former}{text} ", text, _bounds(field)) for text in found]


def describe(field: Mapping[str, Any]) -> str:
    """Bounds, default, example and help of a parameter on one line."""
    parts = [_bounds(field)]
    if "default" in field and field["default"] is not None and field["default"] != []:
        parts.append(f"default {_text(field['default'])}")
    elif field.get("examples"):
        parts.append(f"e.g. {_text(field['examples'][0])}")
    parts.append(str(field.get("description", "")))
    return one_line(" · ".join(part for part in parts if part), 160)


def _bounds(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return "|".join(map(str, field["enum"]))
    low, high = field.get("minimum"), field.get("maximum")
    unit = f" {field['unit']}" if "unit" in field else ""
    if low is not None and high is not None:
        return f"{low:g}–{high:g}{unit}" if max(abs(low), abs(high)) < 1e6 else f"{low}–{high}{unit}"
    if low is not None:
        return f"≥ {low}{unit}"
    return {"boolean": "yes or no", "array": "list"}.get(str(field.get("type")), "")


def _values(field: Mapping[str, Any]) -> list[str]:
    if field.get("type") == "boolean":
        return ["yes", "no"]
    known = field.get("enum") or field.get("items", {}).get("enum") or []
    if not known:
        default = field.get("default")
        known = [*([] if default is None else [default]), *field.get("examples", [])]
    return list(dict.fromkeys(_text(value) for value in known))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_text(item) for item in value[:16])
    return str(value) if isinstance(value, str) else json.dumps(value)


@cache
def _fields(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Each field's JSON schema, references and optional types resolved to their one real kind."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    found = {}
    for name, field in schema.get("properties", {}).items():
        kinds = [kind for kind in field.get("anyOf", []) if kind.get("type") != "null"]
        reference = field.get("$ref", "").rpartition("/")[2]
        found[name] = {**field, **definitions.get(reference, {}), **(kinds[0] if kinds else {})}
    return found


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


def _ranked(query: str, names: Iterable[str], text: Callable[[str], str]) -> list[str]:
    """The names that match, best first."""
    names = list(names)
    if not query:
        return names[:MOST]
    if len(query) > QUERY_LENGTH:
        return []
    scored = [(score, name) for name in names if (score := _distance(_plain(query), _plain(text(name)))) is not None]
    return [name for _, name in sorted(scored)][:MOST]


def _plain(text: str) -> str:
    """The text as it is compared: without case, a hyphen as good as an underscore."""
    return text.lower().replace("-", "_")


def _distance(query: str, text: str) -> tuple[int, int] | None:
    """How far a text is from what was typed: a prefix, a part, or its letters in order; None where it is neither.

    Greedy, so that its time grows with the text's length alone (an exhaustive fuzzy match hangs on `eeeeeeee`).
    """
    if text.startswith(query):
        return 0, len(text)
    if query in text:
        return 1, text.index(query)
    place = -1
    first = None
    for letter in query:
        place = text.find(letter, place + 1)
        if place < 0:
            return None
        first = place if first is None else first
    span = place - (first or 0)
    return (2, span) if span <= 3 * len(query) else None
