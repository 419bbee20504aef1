"""Words to parameters: one parser for `/train epochs=3` and `benlab train --num-train-epochs 3`."""

from __future__ import annotations

import shlex
import types
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

import simulator
from benlab_tui.errors import BadArgument
from benlab_tui.registry import Command
from simulator.errors import BadParameter

_YES = {"true", "yes", "on", "1"}
_NO = {"false", "no", "off", "0"}
_NONE = {"none", "null", ""}


def split(line: str) -> list[str]:
    """A slash line's words, quotes respected; an unbalanced quote is taken as a letter."""
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def parse(command: Command, words: Sequence[str]) -> tuple[str, BaseModel]:
    """The variant ("" where the command has none) and the checked parameters. Raises BadArgument.

    Of a name given twice the later value wins; lists grow.
    """
    variant, model, left = "", command.params, list(words)
    if command.variants is not None:
        variants = command.variants()
        if not left:
            raise BadArgument(f"{command.name} needs a word after it: one of {', '.join(variants)}")
        variant = left.pop(0)
        if variant not in variants:
            raise BadArgument(f"{variant!r} is not a kind of {command.name}: use one of {', '.join(variants)}")
        model = variants[variant]
    values = _values(command, model, left)
    try:
        return variant, simulator.validate(model, values)
    except BadParameter as error:
        raise BadArgument(str(error)) from error


def _values(command: Command, model: type[BaseModel], words: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    bare: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word.startswith("--") and len(word) > 2:
            name, equals, text = word[2:].partition("=")
            field = field_name(command, model, name)
            if not equals and _is_flag(model.model_fields[field]):
                text = "true"
            elif not equals:
                if position >= len(words):
                    raise BadArgument(f"--{name} needs a value after it")
                text = words[position]
                position += 1
            _set(values, field, _convert(model.model_fields[field], text))
        elif _is_assignment(word, model, command):
            name, _, text = word.partition("=")
            field = field_name(command, model, name)
            _set(values, field, _convert(model.model_fields[field], text))
        else:
            bare.append(word)
    _place_bare(command, model, bare, values)
    return values


def _set(values: dict[str, Any], field: str, value: Any) -> None:
    """A list grows with every time that it is given; of other values the last one wins."""
    former = values.get(field)
    values[field] = [*former, *value] if isinstance(former, list) and isinstance(value, list) else value


def _is_assignment(word: str, model: type[BaseModel], command: Command) -> bool:
    """`name=value` is a parameter; in a command that takes free text only where the name is a field."""
    name, equals, _ = word.partition("=")
    if not equals or not name.replace("_", "").replace("-", "").isalnum():
        return False
    return not command.rest or name.replace("-", "_") in model.model_fields


def _place_bare(command: Command, model: type[BaseModel], bare: list[str], values: dict[str, Any]) -> None:
    names = [name for name in command.positional if name not in values and name in model.model_fields]
    if command.rest and names and len(bare) >= len(names):
        bare = [*bare[: len(names) - 1], " ".join(bare[len(names) - 1 :])]
    if len(bare) > len(names):
        extra = bare[len(names)]
        known = ", ".join(model.model_fields) or "none"
        raise BadArgument(
            f"{extra[:60]!r} is not expected by {command.name}: its parameters are {known}, given as name=value"
        )
    for name, text in zip(names, bare, strict=False):
        values[name] = _convert(model.model_fields[name], text)


def field_name(command: Command, model: type[BaseModel], name: str) -> str:
    """The field that a name means: itself, with dashes for underscores, or the one field whose words hold it."""
    wanted = name.replace("-", "_")
    if wanted in model.model_fields:
        return wanted
    for field, info in model.model_fields.items():
        if wanted in also(info):
            return field
    near = [field for field in model.model_fields if wanted in field.split("_") or field.endswith("_" + wanted)]
    if len(near) == 1:
        return near[0]
    known = ", ".join(model.model_fields) or "none"
    raise BadArgument(f"{name[:60]!r} is not a parameter of {command.name}: its parameters are {known}")


def also(field: FieldInfo) -> tuple[str, ...]:
    """Further names of a field: its aliases, and what it states as `json_schema_extra={"also": [...]}`."""
    alias, extra = field.validation_alias, field.json_schema_extra
    named = [choice for choice in alias.choices if isinstance(choice, str)] if isinstance(alias, AliasChoices) else []
    stated = extra.get("also") if isinstance(extra, dict) else None
    return (*named, *(str(name) for name in stated)) if isinstance(stated, list) else tuple(named)


def _options(annotation: Any) -> list[Any]:
    """The alternatives of a union, or the type alone."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return list(typing.get_args(annotation))
    return [annotation]


def _is_flag(field: FieldInfo) -> bool:
    return bool in _options(field.annotation)


def _convert(field: FieldInfo, text: str) -> Any:
    """Text as pydantic takes it: lists at commas, words for yes and no; numbers stay text for pydantic to check."""
    options = _options(field.annotation)
    if type(None) in options and text.lower() in _NONE:
        return None
    if bool in options and text.lower() in _YES | _NO:
        return text.lower() in _YES
    kinds = {typing.get_origin(option) or option for option in options}
    if kinds & {list, tuple, set, frozenset} and not (str in kinds and "," not in text):
        return [part.strip() for part in text.strip("[]()").split(",") if part.strip()]
    return text
