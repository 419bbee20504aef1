"""One or more lines of text, asked for in a dialog: a new title, a corrected answer."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from benlab_tui.text import inert


class Entry(ModalScreen[str | None]):
    """Ends with the text, or None where it was closed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "keep", "Keep", id="entry.keep", priority=True),
        Binding("escape", "close", "Close", id="entry.close"),
    ]

    def __init__(self, question: str, text: str = "") -> None:
        super().__init__()
        self._question, self._text = question, inert(text)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide"):
            head = Content.assemble((self._question, "bold"), ("  ctrl+s keeps, esc closes", "$foreground-muted"))
            yield Static(head, markup=False)
            yield TextArea(self._text, compact=True)

    def on_mount(self) -> None:
        """The cursor stands at the end."""
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)

    def action_keep(self) -> None:
        """Ends with the text."""
        self.dismiss(self.query_one(TextArea).text.strip() or None)

    def action_close(self) -> None:
        """Ends without one."""
        self.dismiss(None)
