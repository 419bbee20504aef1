"""The prompt: enter sends, ctrl+j breaks the line, up and down walk through what was typed before."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from benlab_tui.text import inert

LARGEST_PASTE = 4_000
"""Longer pastes are kept aside and shown as one short mark, so that the prompt stays quick."""


class Prompt(TextArea):
    """A text area that sends. Pastes are made inert; long ones stand as a mark until they are sent."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", id="chat.send"),
        Binding("ctrl+j,shift+enter,alt+enter", "newline", "New line", show=False, id="chat.newline"),
        Binding("tab", "complete", "Complete", show=False, id="chat.complete"),
        Binding("ctrl+z", "app.suspend_process", "Suspend", show=False, id="app.suspend"),
        Binding("ctrl+underscore,super+z", "undo", "Undo", show=False, id="chat.undo"),
    ]

    class Sent(Message):
        """The person sent `text`."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Entered(Message):
        """Enter on a slash line: `text` is sent, or a suggestion taken, as the list then stands."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Moved(Message):
        """Up or down while the completion list is open: `step` is -1 or 1."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    class Completed(Message):
        """Tab (or enter on a chosen suggestion): take the suggestion."""

    completing = False
    """Whether the completion list is open; its keys then go there."""

    def __init__(self) -> None:
        super().__init__(
            id="prompt",
            soft_wrap=True,
            show_line_numbers=False,
            highlight_cursor_line=False,
            placeholder="Ask ben-lab, or type / for commands",
        )
        self.earlier: list[str] = []
        self._place = 0
        self._draft = ""
        self._pastes: dict[str, str] = {}

    def clear_text(self) -> None:
        """Empties the prompt."""
        self.text = ""
        self._pastes.clear()
        self._place = len(self.earlier)

    def put(self, text: str) -> None:
        """Replaces the text and sets the cursor to its end."""
        self.text = text
        self.move_cursor(self.document.end)

    def take_back(self, text: str) -> None:
        """Shows a text that could not be sent; a long one as its mark."""
        self.put(self._short(text))

    def set_history(self, history: list[str]) -> None:
        """What earlier consoles sent, before what this one did."""
        self.earlier = [*history, *self.earlier]
        self._place = len(self.earlier)

    def remember(self, text: str) -> None:
        """Adds to the history."""
        if text and (not self.earlier or self.earlier[-1] != text):
            self.earlier.append(text)
        self._place = len(self.earlier)

    async def _on_key(self, event: events.Key) -> None:
        """The prompt's own keys act here, in the order they were typed; as bindings they could overtake letters."""
        if not event.is_printable:
            active = self.screen.active_bindings.get(event.key)
            action = active.binding.action if active is not None and active.node is self else ""
            if action in ("send", "newline", "complete"):
                event.stop()
                event.prevent_default()
                await self.run_action(action)
                return
        await super()._on_key(event)

    def action_send(self) -> None:
        """Sends the text; a slash line only after the list has had its say."""
        if self.text.startswith("/"):
            self.post_message(self.Entered(self.text))
        else:
            self.send(self.text)

    def send(self, text: str) -> None:
        """Posts the text, its pastes put in, and empties the prompt where it still holds that text."""
        whole = text
        for mark, pasted in self._pastes.items():
            whole = whole.replace(mark, pasted)
        if whole.strip():
            if self.text == text:
                self.clear_text()
            self.post_message(self.Sent(whole))

    def action_newline(self) -> None:
        """Breaks the line."""
        self.insert("\n")

    def action_complete(self) -> None:
        """Takes the suggestion where there is one; from an empty prompt it goes to the next widget."""
        if self.completing:
            self.post_message(self.Completed())
        elif not self.text:
            self.screen.focus_next()

    def action_cursor_up(self, select: bool = False) -> None:
        """Up: the suggestion above, the line above, or the prompt before."""
        if self.completing and not select:
            self.post_message(self.Moved(-1))
        elif self.cursor_at_first_line and not select and self.earlier:
            self._walk(-1)
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Down: the suggestion below, the line below, or the prompt after."""
        if self.completing and not select:
            self.post_message(self.Moved(1))
        elif self.cursor_at_last_line and not select and self._place < len(self.earlier):
            self._walk(1)
        else:
            super().action_cursor_down(select)

    def _walk(self, step: int) -> None:
        if self._place >= len(self.earlier):
            self._draft = self.text
        self._place = max(0, min(len(self.earlier), self._place + step))
        self.put(self.earlier[self._place] if self._place < len(self.earlier) else self._draft)

    async def _on_paste(self, event: events.Paste) -> None:
        """Inert text goes in; a long paste stands as a mark."""
        event.stop()
        event.prevent_default()
        if result := self._replace_via_keyboard(self._short(inert(event.text)), *self.selection):
            self.move_cursor(result.end_location)

    def _short(self, text: str) -> str:
        """The text, or the mark that stands for it."""
        if len(text) <= LARGEST_PASTE:
            return text
        mark = f"[pasted text {len(self._pastes) + 1}: {len(text):,} characters]"
        self._pastes[mark] = text
        return mark
