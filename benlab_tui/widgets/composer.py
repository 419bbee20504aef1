"""The prompt with its completion list above it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, TextArea
from textual.widgets.option_list import Option

from benlab_tui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from benlab_tui.suggest import Suggestion

Suggest = Callable[[str], "list[Suggestion]"]


class Suggestions(OptionList, can_focus=False):
    """The list itself; the keys stay with the prompt, the mouse may click."""


class Composer(Vertical):
    """Asks `suggest` for what may follow each time the text changes."""

    def __init__(self, suggest: Suggest) -> None:
        super().__init__(id="composer")
        self._suggest = suggest
        self._options = Suggestions(id="suggestions", compact=True)
        self._shown: list[Suggestion] = []
        self._chosen = False

    def compose(self) -> ComposeResult:
        yield Prompt()

    @property
    def prompt(self) -> Prompt:
        """The text area."""
        return self.query_one(Prompt)

    @on(TextArea.Changed)
    def changed(self) -> None:
        """Lists what may follow."""
        text = self.prompt.text
        self.show(self._suggest(text) if text.startswith("/") else [])

    def show(self, found: list[Suggestion]) -> None:
        """Shows these suggestions, or hides the list where there is none."""
        self._shown, self._chosen = found, False
        self.prompt.completing = bool(found)
        options = self._options
        if not options.is_attached:
            if not found:
                return
            self.mount(options, before=0)
        options.set_class(bool(found), "-open")
        if found or options.option_count:
            width = max((len(item.label) for item in found), default=0) + 2
            options.set_options(
                Option(Content.assemble(f"{item.label:<{width}}", (item.help, "$foreground-muted"))) for item in found
            )
        if found:
            options.highlighted = 0

    @on(Prompt.Moved)
    def moved(self, event: Prompt.Moved) -> None:
        """Moves the highlight; enter takes the suggestion from then on."""
        event.stop()
        options = self._options
        options.highlighted = ((options.highlighted or 0) + event.step) % max(1, len(self._shown))
        self._chosen = True

    @on(Prompt.Completed)
    def completed(self, event: Prompt.Completed) -> None:
        """Puts the highlighted suggestion into the prompt."""
        event.stop()
        self._take(self._options.highlighted or 0)

    @on(Prompt.Entered)
    def entered(self, event: Prompt.Entered) -> None:
        """Enter sends a whole command, and completes a part of one or a suggestion that was chosen."""
        event.stop()
        partial = " " not in event.text and all(item.label != event.text for item in self._shown)
        if self._shown and (self._chosen or partial) and event.text == self.prompt.text:
            self._take(self._options.highlighted or 0)
        else:
            # In the prompt's own turn: a message that its parent posts for it would not bubble past the parent.
            self.prompt.call_next(self.prompt.send, event.text)

    @on(OptionList.OptionSelected)
    def clicked(self, event: OptionList.OptionSelected) -> None:
        """A click takes the suggestion too."""
        event.stop()
        self._take(event.option_index)

    def close(self) -> bool:
        """Hides the list; whether it was open."""
        was_open = bool(self._shown)
        self.show([])
        return was_open

    def _take(self, index: int) -> None:
        if 0 <= index < len(self._shown):
            self.prompt.put(self._shown[index].line)
            self.prompt.focus()
