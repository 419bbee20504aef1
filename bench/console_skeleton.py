"""A bare Textual chat: what the console's first paint and stream are compared with."""

from __future__ import annotations

import time

START = time.perf_counter()

from textual.app import App, ComposeResult  # noqa: E402
from textual.containers import VerticalScroll  # noqa: E402
from textual.widgets import Footer, Markdown, TextArea  # noqa: E402


class Skeleton(App[float]):
    """One turn of markdown, a prompt, a footer."""

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Markdown("What is **TRI**?")
            yield Markdown("A *distance* between two runs.")
        yield TextArea()
        yield Footer()

    def on_mount(self) -> None:
        self.query_one(TextArea).focus()
        self.call_after_refresh(self.painted)

    def painted(self) -> None:
        self.exit(time.perf_counter() - START)


if __name__ == "__main__":
    print(Skeleton().run(headless=True))
