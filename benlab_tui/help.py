"""Help written from the registry: the same for `/help`, `benlab help` and F1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from benlab_tui.errors import BadArgument
from benlab_tui.registry import Command, commands


def overview(*, slash: bool) -> str:
    """All commands, a line each, in their groups."""
    where, mark = ("console", "/") if slash else ("headless", "benlab ")
    shown = [command for command in commands().values() if command.where in ("both", where)]
    groups = list(dict.fromkeys(command.group for command in shown))
    lines = [] if slash else ["benlab [--lab DIR] [--json] [--yes] COMMAND …    without a command: the console", ""]
    width = max(len(command.name) for command in shown) + len(mark) + 2
    for group in sorted(groups):
        lines.append(f"{group}:")
        lines += [f"  {mark + command.name:<{width}}{command.summary}" for command in shown if command.group == group]
        lines.append("")
    lines.append(f"{mark}help COMMAND shows its parameters, {mark}help TERM explains a term of the lab.")
    return "\n".join(lines)


def command_help(command: Command, words: Sequence[str], *, slash: bool) -> str:
    """One command: what it does, its parameters with bounds and defaults, examples. Raises BadArgument."""
    only = {"console": " (in the console only)", "headless": " (in a shell only)"}.get(command.where, "")
    slash = command.where == "console" or (slash and not only)
    mark = "/" if slash else "benlab "
    lines = [f"{mark}{command.name}: {command.summary}{only}"]
    if command.variants is None:
        lines += _fields(command.params, slash)
    else:
        variants = command.variants()
        if words and words[0] not in variants:
            raise BadArgument(f"{words[0]!r} is not a kind of {command.name}: use one of {', '.join(variants)}")
        if words:
            lines = [f"{mark}{command.name} {words[0]}: {(variants[words[0]].__doc__ or '').strip().splitlines()[0]}"]
            lines += _fields(variants[words[0]], slash)
        else:
            lines += [
                "",
                "kinds:",
                *(f"  {name}" for name in variants),
                f"{mark}help {command.name} KIND shows its parameters.",
            ]
    if command.notes:
        lines += ["", *command.notes()]
    if command.examples:
        lines += ["", "examples:", *(f"  {mark}{example}" for example in command.examples)]
    return "\n".join(lines)


def bounds(field: FieldInfo) -> str:
    """What a field may be, in words: its bounds or choices."""
    import typing

    if typing.get_origin(field.annotation) is typing.Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(field.annotation))
    low = next((f"{value}" for item in field.metadata if (value := getattr(item, "ge", None)) is not None), "")
    high = next((f"{value}" for item in field.metadata if (value := getattr(item, "le", None)) is not None), "")
    above = next((f"above {value}" for item in field.metadata if (value := getattr(item, "gt", None)) is not None), "")
    if low and high:
        return f"{low} to {high}"
    if above and high:
        return f"{above}, at most {high}"
    return above or (f"at least {low}" if low else f"at most {high}" if high else "")


def default_of(field: FieldInfo) -> str:
    """The field's default as text, or "needed"; empty where nothing is the default."""
    if field.is_required():
        return "needed"
    value: Any = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None or value in ([], ""):
        return ""
    if isinstance(value, list | tuple):
        return f"default {','.join(map(str, value))}"
    return f"default {'yes' if value else 'no'}" if isinstance(value, bool) else f"default {value}"


def _fields(model: type[BaseModel], slash: bool) -> list[str]:
    if not model.model_fields:
        return []
    lines = ["", "parameters:"]
    for name, field in model.model_fields.items():
        shown = f"{name}=…" if slash else "--" + name.replace("_", "-")
        details = "; ".join(part for part in (bounds(field), default_of(field)) if part)
        lines.append(f"  {shown:<34}{field.description or ''}" + (f" ({details})" if details else ""))
    return lines
