"""The grammar of tool calls (GBNF), derived from the tools' schemas, so that a call cannot be malformed.

llama.cpp decodes under it from the word `TOOL:` on: names and choices come from the schema, numbers keep to its bounds,
required arguments are there. What a schema cannot say (sums, lists whose items must differ) is checked afterwards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

from pipeline.chat.tool_text import CALL

_MOST_CALLS = 3
_MOST_ITEMS = 32
_MOST_DIGITS = 9
_MOST_DECIMALS = 6
_SHARED = r"""
ws ::= " "?
digit ::= [0-9]
fraction ::= "." [0-9]{1,6}
float ::= "-"? ("0" | [1-9] [0-9]{0,8}) fraction?
int ::= "-"? ("0" | [1-9] [0-9]{0,8})
char ::= [^"\\\x00-\x1F\x7F] | "\\" ["\\/bfnrt]
string ::= "\"" char{0,200} "\""
"""


def call_grammar(tools: Sequence[Mapping[str, Any]]) -> str:
    """Return the grammar of one to three calls of `tools`, each on a line of its own."""
    functions = [tool.get("function", tool) for tool in tools]
    rules = [f'root ::= call ("\\n" call){{0,{_MOST_CALLS - 1}}}']
    names = [f"tool-{number}" for number in range(len(functions))]
    rules.append(f'call ::= {_text(CALL)} ws "{{" ws ({" | ".join(names)}) ws "}}"')
    for name, function in zip(names, functions, strict=True):
        key = f'{_quoted("name")} ":" ws {_quoted(function["name"])} "," ws {_quoted("arguments")} ":" ws'
        rules.append(f"{name} ::= {key} {_arguments(function.get('parameters', {}))}")
    return "\n".join(rules) + "\n" + _SHARED.lstrip()


def _arguments(schema: Mapping[str, Any]) -> str:
    """An object with its required members in any order, and others around them; a name may come again."""
    properties = schema.get("properties", {})
    values = {name: _value(known, schema) for name, known in properties.items()}
    pairs = {name: f'{_quoted(name)} ":" ws {value}' for name, value in values.items() if value}
    needed = [name for name in schema.get("required", ()) if name in pairs]
    others = [pair for name, pair in pairs.items() if name not in needed]
    comma = '"," ws'
    if not needed:
        inside = f"({_either(others)} ({comma} {_either(others)}){{0,{len(others) - 1}}})?" if others else ""
        return f'"{{" ws {inside} ws "}}"'
    before = f"({_either(others)} {comma}){{0,{len(others)}}}" if others else ""
    after = f"({comma} {_either(others)}){{0,{len(others)}}}" if others else ""
    orders = permutations(needed) if len(needed) <= 3 else [needed]
    middle = _either([f" {comma} {before} ".join(pairs[name] for name in order) for order in orders])
    return f'"{{" ws {before} {middle} {after} ws "}}"'


def _value(known: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """The value that a property's schema allows; "" for a text of a form that no grammar is derived from."""
    if "$ref" in known:
        known = root.get("$defs", {}).get(str(known["$ref"]).rpartition("/")[2], {})
    if "const" in known:
        return _text(json.dumps(known["const"]))
    if "enum" in known:
        return _either([_text(json.dumps(item)) for item in known["enum"]])
    if options := known.get("anyOf") or known.get("oneOf"):
        return _either([value for option in options if (value := _value(option, root))])
    kind = known.get("type")
    if kind == "integer":
        return _integer(known)
    if kind == "number":
        return _number(known)
    if kind == "array":
        item = _value(known.get("items", {}), root)
        least, most = known.get("minItems", 0), min(known.get("maxItems", _MOST_ITEMS), _MOST_ITEMS)
        more = f'("," ws {item}){{{max(least, 1) - 1},{max(most, 1) - 1}}}'
        return f'"[" ws {item} {more} ws "]"' if least else f'"[" ws ({item} {more})? ws "]"'
    if pattern := known.get("pattern"):
        letters = re.fullmatch(r"\^(\[[^\]]+\])\+\$", pattern)
        return f'"\\"" {letters[1]}{{1,{known.get("maxLength", 80)}}} "\\""' if letters else ""
    return {"null": '"null"', "boolean": '("true" | "false")'}.get(str(kind), "string")


def _integer(known: Mapping[str, Any]) -> str:
    low, high = _bounds(known)
    if low is None and high is None:
        return "int"
    low = -(10**_MOST_DIGITS) + 1 if low is None else int(low)
    high = 10**_MOST_DIGITS - 1 if high is None else int(high)
    parts = []
    if low < 0:
        parts.append(f'"-" {_either(whole_numbers(max(1, -high), -low))}')
    if high >= 0:
        parts += whole_numbers(max(low, 0), high)
    return _either(parts)


def _number(known: Mapping[str, Any]) -> str:
    """A number between the bounds: a whole part with a fraction, and the upper bound itself."""
    low, high = _bounds(known)
    if low is None or high is None or low < 0 or low != int(low) or high != int(high):
        return "float"
    whole = whole_numbers(int(low), int(high) - 1)
    zeros = '("." "0"{1,6})?'
    top = [f'"{int(high)}" {zeros}']
    return _either([*([f"{_either(whole)} fraction?"] if whole else []), *top])


def _bounds(known: Mapping[str, Any]) -> tuple[float | None, float | None]:
    low, high = known.get("minimum"), known.get("maximum")
    if low is None and "exclusiveMinimum" in known:
        low = known["exclusiveMinimum"]
    return low, known.get("exclusiveMaximum") if high is None else high


def whole_numbers(low: int, high: int) -> list[str]:
    """Return alternatives that together match exactly the decimal numbers from `low` to `high` (0 or more).

    >>> whole_numbers(4, 256)
    ['[4-9]', '[1-9] [0-9]', '"1" [0-9] [0-9]', '"2" [0-4] [0-9]', '"25" [0-6]']
    """
    found: list[str] = []
    for length in range(len(str(max(low, 0))), len(str(max(high, 0))) + 1):
        first = max(low, 10 ** (length - 1) if length > 1 else 0)
        last = min(high, 10**length - 1)
        if first <= last:
            found += _same_length(str(first), str(last))
    return found


def _same_length(first: str, last: str) -> list[str]:
    """Alternatives for the numbers between two of equal length."""
    if first == last:
        return [f'"{first}"']
    common = next(place for place in range(len(first)) if first[place] != last[place])
    head = f'"{first[:common]}" ' if common else ""
    low, high, left = int(first[common]), int(last[common]), len(first) - common - 1
    found = []
    if left and int(first[common + 1 :]):
        found += [_joined(head + f'"{low}"', part) for part in _same_length(first[common + 1 :], "9" * left)]
        low += 1
    top = []
    if left and int(last[common + 1 :]) < 10**left - 1:
        top = [_joined(head + f'"{high}"', part) for part in _same_length("0" * left, last[common + 1 :])]
        high -= 1
    if low <= high:
        digits = f"[{low}-{high}]" if low < high else f'"{low}"'
        found.append(" ".join([head + digits, *["[0-9]"] * left]))
    return found + top


def _joined(head: str, part: str) -> str:
    return f"{head} {part}".replace('" "', "")


def _either(options: Sequence[str]) -> str:
    return options[0] if len(options) == 1 and " | " not in options[0] else f"({' | '.join(options)})"


def _quoted(name: str) -> str:
    return _text(json.dumps(name))


def _text(literal: str) -> str:
    """A literal of the grammar."""
    return '"' + literal.replace("\\", "\\\\").replace('"', '\\"') + '"'
