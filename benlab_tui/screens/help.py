"""F1: first steps, keys, commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from benlab_tui.screens.document import Document

if TYPE_CHECKING:
    from benlab_tui.registry import Command

_KEYS = """# Ben Lab

Write a question and press **enter**. A line that starts with `/` is a command; the list above the prompt shows
what may follow.

| key | does |
|---|---|
| enter / ctrl+j | send / new line |
| tab, ↑ ↓ | take a suggestion, move in the list; ↑ ↓ without a list: what was typed before |
| esc | closes the list, stops the answer, or asks whether to cancel the job |
| shift+tab or ctrl+↑ | go to the turns: y copy, e edit, r again, a keep, f correct, x reject, w why, v verify |
| F2 F3 F4 F5 | model, sessions, pull the default base, explain the newest experiment |
| ctrl+n ctrl+l ctrl+p | new chat, lab pane, command palette (themes too) |
| ctrl+c | copies what is selected, else asks whether to quit |
| ctrl+q | quits; jobs go on and are found again |

Keys can be changed in `benlab.toml`: `[keys]` with a line such as `"chat.send" = "ctrl+s"`.

"""


class Help(Document):
    """Keys, then every command with its summary and an example."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        groups: dict[str, list[str]] = {}
        for command in commands.values():
            example = f" `/{command.examples[0]}`" if command.examples else ""
            groups.setdefault(command.group, []).append(f"- **/{command.name}**: {command.summary}.{example}")
        pages = "\n\n".join(f"## {group}\n\n" + "\n".join(lines) for group, lines in groups.items())
        super().__init__(_KEYS + pages)
