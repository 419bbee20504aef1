"""A page of text over the screen: help, provenance, reports."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from benlab_tui.text import inert
from benlab_tui.widgets.reply import Reply


class Document(ModalScreen[None]):
    """Markdown that scrolls; escape closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,f1", "dismiss", "Close", id="document.close")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = inert(text)

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="page"):
            yield Reply(self.text)

    def on_mount(self) -> None:
        """The arrows scroll at once."""
        self.query_one(VerticalScroll).focus()
