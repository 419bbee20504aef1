"""The commands: one decorated async function each, read by the slash parser, the CLI, completion and help."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from benlab_tui.errors import UnknownCommand

if TYPE_CHECKING:
    from benlab_tui.context import Context

Value = dict[str, Any]
Run = Callable[["Context", Any], Awaitable[Value | None]]
Where = Literal["both", "console", "headless"]


class NoParams(BaseModel):
    """A command that takes nothing."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    `positional` names the fields that bare words fill, in order; the last of them takes the rest of the line
    where `rest` is true. `variants` gives, for a command whose first word chooses its parameters
    (`experiment discovery`), each word's model; the word itself is kept in the field `variant_field`. `notes` gives
    lines that its help shows after the parameters. A command that `streams` writes its own output and
    has no result to show at its end.
    """

    name: str
    summary: str
    run: Run
    params: type[BaseModel] = NoParams
    positional: tuple[str, ...] = ()
    rest: bool = False
    variants: Callable[[], Mapping[str, type[BaseModel]]] | None = None
    where: Where = "both"
    notes: Callable[[], list[str]] | None = None
    examples: tuple[str, ...] = ()
    group: str = "Lab"
    streams: bool = False


_commands: dict[str, Command] = {}


def command(name: str, summary: str, **details: Any) -> Callable[[Run], Run]:
    """Registers an async function `run(context, params)` as a command. A name that is taken raises ValueError."""

    def register(run: Run) -> Run:
        if name in _commands:
            raise ValueError(
                f"the command {name!r} is registered twice: by {_commands[name].run.__module__} and {run.__module__}"
            )
        _commands[name] = Command(name=name, summary=summary, run=run, **details)
        return run

    return register


def commands() -> dict[str, Command]:
    """All commands by name; their files are imported at the first call."""
    from benlab_tui import commands as package

    for module in iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_commands.items()))


def find(name: str, where: Where) -> Command:
    """The command of that name that exists in the console or headless. Raises UnknownCommand, with the nearest name."""
    known = {key: value for key, value in commands().items() if value.where in ("both", where)}
    if name in known:
        return known[name]
    if name in commands():
        how = f"type /{name} in `benlab`" if where == "headless" else f"run `benlab {name}` in a shell"
        raise UnknownCommand(f"{name!r} is a command of the {'console' if where == 'headless' else 'shell'}: {how}")
    shown = name if len(name) <= 40 else name[:40] + "…"
    near = difflib.get_close_matches(name[:40], known, n=1)
    mark = "/" if where == "console" else "benlab "
    hint = f"did you mean {mark}{near[0]}?" if near else f"{mark}help lists the commands"
    raise UnknownCommand(f"{shown!r} is not a command: {hint}")
