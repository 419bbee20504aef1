"""A question with yes and no. A long question scrolls; the buttons stay in view."""

from __future__ import annotations

import time
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from benlab_tui.text import inert

HELD_SECONDS = 0.8
"""Seconds in which `y` does nothing if the person was typing when the question came up."""


class Confirm(ModalScreen[bool]):
    """Ends with the answer; escape is no, enter what is focused."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="confirm.yes"),
        Binding("n,escape", "answer(False)", "No", id="confirm.no"),
        Binding("left,right", "app.focus_next", "Other", show=False, id="confirm.other"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="confirm.up"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="confirm.down"),
        Binding("pageup", "scroll(-8)", "Page up", show=False, id="confirm.pageup"),
        Binding("pagedown", "scroll(8)", "Page down", show=False, id="confirm.pagedown"),
    ]

    def __init__(self, question: str, default: bool = False, typing: bool = False) -> None:
        super().__init__()
        self._question, self._default = question, default
        self._held_until = time.monotonic() + HELD_SECONDS if typing else 0.0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog confirm"):
            with VerticalScroll(can_focus=False, classes="question"):
                yield Static(Content(inert(self._question)), markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Yes (y)", id="yes", variant="primary", compact=True)
                yield Button("No (n)", id="no", compact=True)

    def on_mount(self) -> None:
        """The default has the focus."""
        self.query_one("#yes" if self._default else "#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A click or enter answers."""
        self.dismiss(event.button.id == "yes")

    def action_scroll(self, rows: int) -> None:
        """Moves the question up or down."""
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)

    def action_answer(self, answer: bool) -> None:
        """A key answers, unless it is a letter of the line that the question interrupted."""
        if not answer or time.monotonic() >= self._held_until:
            self.dismiss(answer)
