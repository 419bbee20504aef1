"""The edge to the terminal: whatever a command prints passes here, and no escape from outside reaches the screen."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

from benlab_tui.text import inert, inert_json

if TYPE_CHECKING:
    from simulator.events import Event


def out(text: str) -> None:
    """Write text to standard output; control characters in it are shown, never obeyed."""
    _write(sys.stdout, inert(text))


def err(text: str) -> None:
    """Write text to standard error, as `out` does."""
    _write(sys.stderr, inert(text))


def out_event(event: Event) -> None:
    """Write an event as one line of JSON, in which a control character is an escape of JSON's own."""
    from simulator.events import to_line

    _write(sys.stdout, inert_json(to_line(event)) + "\n")


def out_json(value: dict[str, Any]) -> None:
    """Write a value as one line of JSON, as `out_event` does."""
    import json

    _write(sys.stdout, inert_json(json.dumps(value, ensure_ascii=False, allow_nan=False)) + "\n")


def _write(stream: TextIO, text: str) -> None:
    """A terminal that cannot show a character shows a question mark."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()
