"""The lab's terms, read from glossary.toml, found by any of their names.

`entries()` lists those of the physics in order: the model is trained on them. `lookup("ising")` finds one, or one of
tools.toml (LoRA, GGUF, …: words of the console that no sample defines), forgiving case, hyphens and small slips.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pipeline.errors import BadInput


@dataclass(frozen=True, slots=True)
class Entry:
    """One term: its key, the name shown, what else people call it, the definition, and related keys."""

    key: str
    term: str
    aliases: tuple[str, ...]
    text: str
    see: tuple[str, ...]


@cache
def entries() -> tuple[Entry, ...]:
    """Every entry that training, claims and retrieval know, in the file's order."""
    return _read("glossary.toml")


@cache
def tool_entries() -> tuple[Entry, ...]:
    """Terms of training and installing, for a person's look-up alone: samples of a given seed stay as they are."""
    return _read("tools.toml")


def _read(name: str) -> tuple[Entry, ...]:
    raw = tomllib.loads(files("pipeline.data").joinpath(name).read_text(encoding="utf-8"))
    return tuple(
        Entry(item["key"], item["term"], tuple(item["aliases"]), item["text"], tuple(item["see"]))
        for item in raw["entry"]
    )


def by_key(key: str) -> Entry:
    """The entry with exactly this key. Raises KeyError where there is none."""
    return {entry.key: entry for entry in entries()}[key]


_SURE = 0.85
"""Likeness (difflib's ratio) from which a name that is not there is taken for a slip of the one that is nearest."""


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("_", " ").replace("-", " ").split())


@cache
def _names() -> dict[str, Entry]:
    names: dict[str, Entry] = {}
    for entry in (*entries(), *tool_entries()):
        for name in (entry.key, entry.term, *entry.aliases):
            names.setdefault(_plain(name), entry)
    return names


def names() -> list[str]:
    """Every term's shown name, for completion."""
    return [entry.term for entry in (*entries(), *tool_entries())]


def lookup(name: str) -> Entry:
    """The entry that `name` means. Raises BadInput with the nearest terms where none does."""
    wanted = _plain(name)
    spellings = (wanted, wanted.removeprefix("the "), wanted.removesuffix("s"))
    found = next((_names()[name] for name in spellings if name in _names()), None)
    if found:
        return found
    near = difflib.get_close_matches(wanted, _names(), n=3, cutoff=0.75)
    sure = difflib.get_close_matches(wanted, near, n=3, cutoff=_SURE)
    if len({_names()[key].key for key in sure}) == 1:
        return _names()[sure[0]]
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names())}."
    raise BadInput(f"{name[:60]!r} is not in the glossary: {hint}")
