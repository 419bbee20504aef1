"""Answers as markdown that streams: one widget a turn, paced so that the screen never holds the engine up."""

from __future__ import annotations

import asyncio
import time
from functools import cache

from markdown_it import MarkdownIt
from textual.await_complete import AwaitComplete
from textual.content import Content
from textual.widgets import Markdown
from textual.widgets.markdown import MarkdownFence

from benlab_tui.text import inert
from benlab_tui.widgets.flat import FlatBulletList, FlatOrderedList, FlatTable, Part

LONGEST_HIGHLIGHT = 1_500
"""Longer fences stay plain: they would be highlighted again at every piece of the stream."""

SHORTEST_PAUSE, LONGEST_PAUSE, SHARE = 0.05, 0.6, 5
"""Seconds between two updates: at least, at most, and as a multiple of what the last one took."""


@cache
def parser() -> MarkdownIt:
    """GitHub's markdown; HTML stays text. One parser for all, since making it costs more than using it."""
    return MarkdownIt("gfm-like", {"html": False})


class Fence(MarkdownFence):
    """A code block that is highlighted while it is short."""

    @classmethod
    def highlight(cls, code: str, language: str, ansi: bool = False, dark: bool = False) -> Content:
        """Colours, or plain text where the code is long."""
        if len(code) > LONGEST_HIGHLIGHT:
            return Content(code)
        return super().highlight(code, language, ansi, dark)


class Reply(Markdown):
    """Markdown from outside: escapes inert, HTML shown as text, links never opened unasked."""

    BLOCKS = {  # noqa: RUF012
        **Markdown.BLOCKS,
        "fence": Fence,
        "code_block": Fence,
        "bullet_list_open": FlatBulletList,
        "ordered_list_open": FlatOrderedList,
        "table_open": FlatTable,
        **dict.fromkeys(("thead_open", "tbody_open", "tr_open", "th_open", "td_open"), Part),  # type: ignore[arg-type]
    }

    def __init__(self, text: str = "") -> None:
        super().__init__(inert(text) or None, parser_factory=parser, open_links=False)
        self.cost = 0.0
        """Seconds that the last update took."""

    def append(self, markdown: str) -> AwaitComplete:
        """Adds a piece, and keeps how long that took."""
        inner = super().append(markdown)

        async def timed() -> None:
            start = time.perf_counter()
            await inner
            self.cost = time.perf_counter() - start

        return AwaitComplete(timed())


class Stream:
    """Feeds a `Reply` through textual's MarkdownStream: the first piece at once, later ones together."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._stream = Markdown.get_stream(reply)
        self._pending: list[str] = []
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def feed(self, text: str) -> None:
        """Takes a piece; returns at once."""
        self._pending.append(inert(text))
        self._news.set()

    async def stop(self) -> None:
        """Shows all that is left."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._flush()
        await self._stream.stop()

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            await self._flush()
            await asyncio.sleep(min(LONGEST_PAUSE, max(SHORTEST_PAUSE, SHARE * self._reply.cost)))

    async def _flush(self) -> None:
        self._news.clear()
        text = "".join(self._pending)
        self._pending.clear()
        if text:
            await self._stream.write(text)
