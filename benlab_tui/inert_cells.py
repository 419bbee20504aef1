"""The console's edge to the terminal: a filter over every line of cells, whichever widget drew it."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from benlab_tui.text import without_active


class InertCells(LineFilter):
    """Drop characters that act on a terminal. They have no width, so nothing moves.

    Widgets make text from outside inert where they take it, which shows that something was there. This filter holds
    even if one forgets to.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments, with the text of each one inert."""
        if all(segment.text.isprintable() for segment in segments):
            return segments
        return [segment if segment.control else _inert(segment) for segment in segments]


def _inert(segment: Segment) -> Segment:
    return Segment(without_active(segment.text), segment.style)


INERT_CELLS = InertCells()
