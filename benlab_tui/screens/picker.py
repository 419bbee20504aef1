"""A list to choose from, with a search line: sessions, models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static

from benlab_tui.text import one_line


@dataclass(frozen=True, slots=True)
class Choice:
    """`key` is what the picker ends with, beside what was asked for."""

    key: str
    label: str
    help: str = ""


Find = Callable[[str], list[Choice]]


class Picker(ModalScreen[tuple[str, str] | None]):
    """Ends with (action, key): `take`, or the action of one of `keys`; None where it was closed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", id="picker.close"),
        Binding("down", "move(1)", "Next", show=False, id="picker.next", priority=True),
        Binding("up", "move(-1)", "Previous", show=False, id="picker.previous", priority=True),
        Binding("ctrl+d", "act('delete')", "Delete", id="picker.delete", priority=True),
        Binding("ctrl+r", "act('rename')", "Rename", id="picker.rename", priority=True),
    ]

    def __init__(self, title: str, find: Find, actions: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._title, self._find, self._actions = title, find, actions
        self._shown: list[Choice] = []

    def compose(self) -> ComposeResult:
        keys = {"delete": "ctrl+d deletes", "rename": "ctrl+r renames"}
        hint = ", ".join(["enter takes", *(keys[action] for action in self._actions), "esc closes"])
        with Vertical(classes="dialog wide"):
            yield Static(Content.assemble((self._title, "bold"), (f"  {hint}", "$foreground-muted")), markup=False)
            yield Input(placeholder="search", compact=True)
            yield OptionList(compact=True)

    def on_mount(self) -> None:
        """The whole list first."""
        self.query_one(Input).focus()
        self._list("")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self._list(event.value)

    def _list(self, query: str) -> None:
        self._shown = self._find(query)
        options = self.query_one(OptionList)
        options.set_options(
            Content.assemble(one_line(choice.label, 60), (f"  {one_line(choice.help, 80)}", "$foreground-muted"))
            for choice in self._shown
        )
        options.highlighted = 0 if self._shown else None

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_act("take")

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(("take", self._shown[event.option_index].key))

    def action_move(self, step: int) -> None:
        """Moves the highlight while the search line keeps the focus."""
        options = self.query_one(OptionList)
        if self._shown:
            options.highlighted = ((options.highlighted or 0) + step) % len(self._shown)

    def action_act(self, action: str) -> None:
        """Ends with this action on the highlighted choice."""
        place = self.query_one(OptionList).highlighted
        if place is not None and place < len(self._shown) and action in ("take", *self._actions):
            self.dismiss((action, self._shown[place].key))

    def action_close(self) -> None:
        """Ends without a choice."""
        self.dismiss(None)
