"""The conversation: a window of turns over a session of any length."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual.containers import VerticalScroll
from textual.widget import Widget

from pipeline.chats import Message

PAGE = 16
MOST = 48
"""More widgets than this make scrolling slow; the rest waits in lab.db."""

Make = Callable[[Message], "Widget | None"]
Fetch = Callable[[int, int], "list[Message]"]


class Transcript(VerticalScroll, can_focus=False):
    """Keeps at most `MOST` turns mounted; scrolling to an end fetches the turns beyond it."""

    def __init__(self, make: Make, earlier: Fetch, later: Fetch) -> None:
        super().__init__(id="transcript")
        self._make, self._earlier, self._later = make, earlier, later
        self._busy = False
        self.first: int | None = None
        self.last: int | None = None
        """Message ids at the ends of the window; `last` is None while the live end is shown."""

    def fill(self, messages: list[Message]) -> list[Widget]:
        """The widgets of a session's last messages; the window then ends at the live end."""
        self.first, self.last = (messages[0].id if messages else None), None
        self.anchor()
        return self._widgets(messages)

    async def show(self, messages: list[Message]) -> None:
        """Replaces everything."""
        await self.remove_children()
        await self.mount_all(self.fill(messages))
        self.scroll_end(animate=False)

    def to_end(self) -> None:
        """Shows the live end, and stays there."""
        self.anchor()
        self.scroll_end(animate=False)

    async def add(self, widget: Widget) -> None:
        """Adds a widget at the live end and prunes the oldest."""
        if self.last is not None:
            return
        await self.mount(widget)
        if len(self.children) > MOST:
            await self._prune(list(self.children)[: len(self.children) - MOST + PAGE])

    async def show_earlier(self, count: int = PAGE) -> bool:
        """Fetches turns above the first one, and lets those at the far end go; whether there were any."""
        if self._busy or self.first is None:
            return False
        self._busy = True
        try:
            messages = self._earlier(self.first, count)
            if not messages:
                return False
            before, at_end = self.virtual_size.height, self.is_vertical_scroll_end
            await self.mount_all(self._widgets(messages), before=0)
            self.first = messages[0].id
            self.call_after_refresh(self.anchor if at_end else partial(self._keep_place, before))
            if len(self.children) > MOST and not self.query(".-live"):
                self.last = await self._prune(list(self.children)[MOST:], newest=True)
                self.release_anchor()
                self.call_after_refresh(self._leave_end)
            return True
        finally:
            self._busy = False

    async def show_later(self) -> None:
        """Fetches turns below the last one where the window does not reach the live end."""
        if self._busy or self.last is None:
            return
        self._busy = True
        try:
            messages = self._later(self.last - 1, PAGE)
            self.release_anchor()
            await self.mount_all(self._widgets(messages))
            self.last = messages[-1].id + 1 if len(messages) == PAGE else None
            self.call_after_refresh(self._prune_top)
        finally:
            self._busy = False

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """At an end there may be more."""
        super().watch_scroll_y(old_value, new_value)
        if self._busy or not self.is_attached or old_value == new_value:
            return
        if new_value <= 0 < old_value:
            self.run_worker(self.show_earlier(), group="window")
        elif self.last is not None and new_value >= self.max_scroll_y:
            self.run_worker(self.show_later(), group="window")

    def _leave_end(self) -> None:
        """Never at the very end while more follows: scrolling on must be felt, and fetches what follows."""
        if self.last is not None and self.scroll_y >= self.max_scroll_y:
            self.scroll_to(y=max(0, self.max_scroll_y - 1), animate=False, force=True)

    async def _prune_top(self) -> None:
        """Lets the oldest go, once the newest have their heights; what is in view stays there."""
        if len(self.children) > MOST:
            before = self.virtual_size.height
            await self._prune(list(self.children)[: len(self.children) - MOST])
            self.call_after_refresh(self._keep_place, before)

    def _keep_place(self, before: int) -> None:
        """The same turns stay in view."""
        place = self.scroll_y + self.virtual_size.height - before
        self.scroll_to(y=max(0, place), animate=False, force=True)
        self._leave_end()

    def _widgets(self, messages: list[Message]) -> list[Widget]:
        return [widget for message in messages if (widget := self._make(message)) is not None]

    async def _prune(self, widgets: list[Widget], newest: bool = False) -> int | None:
        """Removes widgets at one end; returns the id that the window then ends before."""
        gone = [widget for widget in widgets if not widget.has_class("-live")]
        await self.remove_children(gone)
        ids = [message_id for widget in self.children if (message_id := getattr(widget, "message_id", None))]
        if newest:
            return max(ids) + 1 if ids else None
        self.first = min(ids) if ids else self.first
        return None
