"""The top line: the lab's name, who answers, and the session."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from benlab_tui.text import inert, one_line


class TopLine(Static):
    """Draws itself again when one of its parts changes."""

    engine: reactive[str] = reactive("")
    """Model and engine that answer, or why none does."""

    session: reactive[str] = reactive("")
    """The session's title."""

    busy: reactive[bool] = reactive(False)
    """Whether an answer is on its way."""

    def render(self) -> Content:
        """One line; the middle dot separates the parts."""
        parts = [("Ben Lab", "bold $accent"), (f" · {inert(self.engine) or 'no model yet'}", "")]
        if self.session:
            parts.append((f" · {one_line(self.session, 40)}", "$foreground-muted"))
        if self.busy:
            parts.append((" · answering, esc stops", "$text-warning"))
        return Content.assemble(*parts)
