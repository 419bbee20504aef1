"""Bracketed pastes, made inert before the terminal's parser reads them.

textual's parser (8.2) looks for escape sequences inside a paste too: each ESC there turns what follows it into
key presses, so a pasted log would type (even enter) into the console, a million events long.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.driver import Driver
from textual.message import Message

_ESC, _PICTURE = "\x1b", "␛"


class PasteFilter:
    """The terminal's input in pieces of any size; every ESC inside a paste becomes its picture."""

    def __init__(self) -> None:
        self._inside = False
        self._before = ""
        self._held = ""

    def __call__(self, data: str) -> str:
        """What the parser may read of `data`; the start of a possible end mark waits for the next piece."""
        data, self._held = self._held + data, ""
        found = []
        while data:
            piece, data = self._paste(data) if self._inside else self._typed(data)
            found.append(piece)
        return "".join(found)

    def _typed(self, data: str) -> tuple[str, str]:
        """Up to and with the next start mark, of which a part may have passed already; and the rest."""
        whole = self._before + data
        at = whole.find(BRACKETED_PASTE_START)
        if at < 0:
            self._before = whole[-len(BRACKETED_PASTE_START) + 1 :]
            return data, ""
        end = at + len(BRACKETED_PASTE_START) - len(self._before)
        self._inside, self._before = True, ""
        return data[:end], data[end:]

    def _paste(self, data: str) -> tuple[str, str]:
        """Up to and with the end mark; and the rest."""
        text, mark, rest = data.partition(BRACKETED_PASTE_END)
        if mark:
            self._inside = False
        else:
            at = text.rfind(_ESC)
            if at >= 0 and BRACKETED_PASTE_END.startswith(text[at:]):
                text, self._held = text[:at], text[at:]
        return text.replace(_ESC, _PICTURE) + mark, rest


class PasteParser(XTermParser):
    """textual's parser behind the filter."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._filter = PasteFilter()

    def feed(self, data: str) -> Iterable[Message]:
        """The events in `data`; empty data is the end of the input."""
        if data and not (data := self._filter(data)):
            return ()
        return super().feed(data)


def with_inert_pastes(driver: type[Driver]) -> type[Driver]:
    """The driver, which from now on reads by PasteParser: it finds its parser by name in its own module."""
    module = sys.modules[driver.__module__]
    if hasattr(module, "XTermParser"):
        vars(module)["XTermParser"] = PasteParser
    return driver
