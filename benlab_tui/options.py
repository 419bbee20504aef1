"""What stands before or after any command: --lab, --json, --yes, --help."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Options:
    """What stands before or after any command."""

    lab: str | None = None
    json: bool = False
    yes: bool = False
    help: bool = False
    words: list[str] = field(default_factory=list)


class Usage(Exception):
    """A global option that is incomplete."""


def read_options(words: list[str]) -> Options:
    """Takes the global options out of the words; all after `--` is left alone. Raises Usage."""
    options = Options()
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "--":
            options.words += words[position:]
            break
        if word == "--lab":
            if position >= len(words):
                raise Usage("--lab needs a folder after it")
            options.lab = words[position]
            position += 1
        elif word.startswith("--lab="):
            options.lab = word.removeprefix("--lab=")
        elif word == "--json":
            options.json = True
        elif word in ("--yes", "-y"):
            options.yes = True
        elif word in ("--help", "-h"):
            options.help = True
        else:
            options.words.append(word)
    return options
