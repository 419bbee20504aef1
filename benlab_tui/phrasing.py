"""What the packages below say of commands, as the console says it: `benlab pull smollm2` becomes `/pull smollm2`.

Errors and mends are written once, for the command line. Only words in back-ticks that name a command of the console are
changed, so that `benlab web`, which a console cannot run, stays.
"""

from __future__ import annotations

import re
from collections.abc import Container

_QUOTED = re.compile(r"`benlab ([a-z]+)(?=[ `])")


def as_slash(text: str, known: Container[str] | None = None) -> str:
    """The text with `benlab COMMAND …` in back-ticks as `/COMMAND …`; `known` are the console's commands."""
    if "`benlab " not in text:
        return text
    names = _console_commands() if known is None else known
    return _QUOTED.sub(lambda found: f"`/{found[1]}" if found[1] in names else found[0], text)


def _console_commands() -> set[str]:
    from benlab_tui.registry import commands

    return {name for name, command in commands().items() if command.where != "headless"}
