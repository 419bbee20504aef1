"""Lists and tables of an answer as one widget each.

Textual's own give each item four widgets and each cell one: an answer of 4,000 words then holds 1,300, and every
update lays all of them out again (measured by `bench/console_stream.py long`). Here the lines are wrapped to the
width at hand and drawn as one text. What holds a code block or a quote inside is left to Textual's widgets.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from markdown_it.token import Token
from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.widgets._markdown import (
    Markdown,
    MarkdownBlock,
    MarkdownBulletList,
    MarkdownList,
    MarkdownListItem,
    MarkdownOrderedList,
    MarkdownOrderedListItem,
    MarkdownParagraph,
    MarkdownTable,
)

Row = tuple[str, Content]
"""A bullet with its indent, and the words beside it."""

NARROWEST = 3
"""Cells that a table's column keeps where the table is wider than the screen."""


class Flat(MarkdownBlock):
    """Draws itself from lines that fit a width; with `_flat` false it is what it was in Textual."""

    _flat = True
    _drawn: tuple[int, int, Content] = (0, 0, Content(""))
    """The last drawing: its width, its height, the text."""

    def lines(self, width: int) -> list[Content]:
        """The block as lines of at most `width` cells."""
        raise NotImplementedError

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as there are lines."""
        return self._draw(width)[1] if self._flat else super().get_content_height(container, viewport, width)

    def render(self) -> Content:
        """The lines for the width that the widget has."""
        return self._draw(self.content_size.width)[2] if self._flat else Content("")

    def _draw(self, width: int) -> tuple[int, int, Content]:
        if width and self._drawn[0] != width:
            lines = self.lines(width)
            self._drawn = (width, len(lines), Content("\n").join(lines))
        return self._drawn

    def redraw(self) -> None:
        """After the lines have changed."""
        self._drawn = Flat._drawn
        self.clear_cached_dimensions()
        self.refresh(layout=True)


class FlatList(Flat, MarkdownList):
    """A list whose items are paragraphs and further such lists."""

    _rows: Sequence[Row] = ()

    def compose(self) -> ComposeResult:
        rows = rows_of(self)
        self._flat = rows is not None
        if rows is None:
            yield from super().compose()
        else:
            self._rows = rows
            self._blocks.clear()

    def lines(self, width: int) -> list[Content]:
        """Bullets, and words that hang beside them."""
        return list(chain.from_iterable(_hanging(bullet, words, width) for bullet, words in self._rows))

    async def _update_from_block(self, block: MarkdownBlock) -> None:
        rows = rows_of(block) if type(block) is type(self) and self._flat else None
        if rows is None:
            await super()._update_from_block(block)
        elif rows != self._rows:
            self._rows = rows
            self.redraw()


class FlatBulletList(FlatList, MarkdownBulletList):
    """Dots."""


class FlatOrderedList(FlatList, MarkdownOrderedList):
    """Numbers."""


class Part:
    """A table's head, body, row or cell while it is read: no widget, since making one takes longer than drawing it."""

    def __init__(self, markdown: Markdown, token: Token) -> None:
        self.kind = token.type
        self._content = Content("")
        self._blocks: list[Part] = []

    def build_from_token(self, token: Token) -> None:
        """Takes the words of a cell."""
        self._content = MarkdownBlock._token_to_content(self, token)  # type: ignore[arg-type]

    def cells(self) -> list[list[Content]]:
        """The rows in it."""
        if self.kind == "tr_open":
            return [[cell._content for cell in self._blocks]]
        return list(chain.from_iterable(part.cells() for part in self._blocks))


class FlatTable(Flat, MarkdownTable):
    """A table: bold heads, a line, rows; columns share the width where their words do not fit."""

    def compose(self) -> ComposeResult:
        self._headers, self._rows = self._get_headers_and_rows()
        self._blocks.clear()
        yield from ()

    def _get_headers_and_rows(self) -> tuple[list[Content], list[list[Content]]]:
        heads, *rows = list(chain.from_iterable(part.cells() for part in self._blocks)) or [[]]  # type: ignore[attr-defined]
        return heads, rows

    def lines(self, width: int) -> list[Content]:
        """Heads, a line, rows."""
        heads = [head.stylize("bold $primary") for head in self._headers]
        widths = column_widths([heads, *self._rows], width)
        rule = Content("─┼─".join("─" * size for size in widths)[:width]).stylize("$foreground 30%")
        rows = chain.from_iterable(_table_row(row, widths) for row in self._rows)
        return [*_table_row(heads, widths), rule, *rows]

    async def _update_from_block(self, block: MarkdownBlock) -> None:
        if not isinstance(block, FlatTable):
            await super(MarkdownTable, self)._update_from_block(block)
            return
        headers, rows = block._get_headers_and_rows()
        if (headers, rows) != (self._headers, self._rows):
            self._headers, self._rows = headers, rows
            self.redraw()


def rows_of(block: MarkdownBlock, indent: str = "") -> list[Row] | None:
    """A list's rows; None where an item holds more than paragraphs and lists."""
    items = [item for item in block._blocks if isinstance(item, MarkdownListItem)]
    bullets = _bullets(items)
    rows: list[Row] = []
    for bullet, item in zip(bullets, items, strict=True):
        head = indent + bullet
        for part in item._blocks:
            if isinstance(part, MarkdownParagraph):
                rows.append((head, part._content))
                head = " " * len(head)
            elif isinstance(part, MarkdownList):
                inner = rows_of(part, " " * len(indent + bullet))
                if inner is None:
                    return None
                rows += inner
            else:
                return None
        if not item._blocks:
            rows.append((head, Content("")))
    return rows


def _bullets(items: Sequence[MarkdownListItem]) -> list[str]:
    """Dots as they are, numbers counted from the first and set to the right."""
    if not items or not isinstance(items[0], MarkdownOrderedListItem):
        return [item.bullet for item in items]
    first = int(items[0].bullet) if items[0].bullet.isdecimal() else 1
    numbers = [f"{number}. " for number in range(first, first + len(items))]
    return [number.rjust(len(numbers[-1]) + 1) for number in numbers]


def _hanging(bullet: str, words: Content, width: int) -> list[Content]:
    """The words wrapped beside the bullet; in a column too narrow for both the bullet is cut."""
    bullet = bullet[: max(0, width - NARROWEST)]
    parts = words.wrap(max(1, width - len(bullet))) or [Content("")]
    mark = Content(bullet).stylize("$text-primary")
    return [mark + parts[0], *(part.pad_left(len(bullet)) for part in parts[1:])]


def column_widths(rows: Sequence[Sequence[Content]], width: int) -> list[int]:
    """Each column's widest cell; where that is too much the widest give way first, down to `NARROWEST`."""
    count = max(map(len, rows), default=0)
    sizes = [max([1, *(row[place].cell_length for row in rows if place < len(row))]) for place in range(count)]
    room = max(width - 3 * (count - 1), NARROWEST * count)
    while sum(sizes) > room:
        widest = max(sizes)
        places = [place for place, size in enumerate(sizes) if size == widest]
        below = max([NARROWEST, *(size for size in sizes if size < widest)])
        step = max(1, min((sum(sizes) - room) // len(places), widest - below))
        for place in places:
            sizes[place] -= step
    return sizes


def _table_row(cells: Sequence[Content], widths: Sequence[int]) -> list[Content]:
    """One row of cells, as many lines as its tallest cell needs."""
    wrapped = [cell.wrap(size) or [Content("")] for cell, size in zip(cells, widths, strict=False)]
    wrapped += [[Content("")]] * (len(widths) - len(wrapped))
    lines = []
    for number in range(max(map(len, wrapped), default=0)):
        parts = [cell[number] if number < len(cell) else Content("") for cell in wrapped]
        padded = [part.pad_right(max(0, size - part.cell_length)) for part, size in zip(parts, widths, strict=True)]
        lines.append(Content(" │ ").stylize("$foreground 30%").join(padded))
    return lines
