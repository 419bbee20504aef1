"""Two models side by side on one prompt; 1 or 2 keeps the winner as preference data."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from benlab_tui.crash_log import unforeseen
from benlab_tui.phrasing import as_slash
from benlab_tui.text import inert
from benlab_tui.widgets.turns import ReplyTurn
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.chat import ChatEngine, Message
    from pipeline.lab import Lab


LONGEST_ANSWER = 400
"""Tokens: enough to judge by, and a model that repeats itself does not keep the other waiting."""


class Compare(ModalScreen[str | None]):
    """Ends with the winner's name, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1,left", "pick(0)", "Left is better", id="compare.left"),
        Binding("2,right", "pick(1)", "Right is better", id="compare.right"),
        Binding("escape,q", "dismiss", "Close", id="compare.close"),
    ]

    def __init__(
        self,
        lab: Lab,
        opener: Callable[[Sequence[str]], Awaitable[list[ChatEngine]]],
        names: tuple[str, str],
        prompt: str,
    ) -> None:
        super().__init__()
        self._lab, self._open, self._names, self._prompt = lab, opener, names, prompt
        self._turns = (ReplyTurn(), ReplyTurn())
        self._heads = tuple(Static(markup=False, classes="heading") for _ in names)
        self._ready = [False, False]

    def compose(self) -> ComposeResult:
        with Vertical(classes="page compare"):
            yield Static(Content.assemble((inert(self._prompt[:300]), "bold")), markup=False)
            with Horizontal():
                for head, turn in zip(self._heads, self._turns, strict=True):
                    with VerticalScroll():
                        yield head
                        yield turn
            yield Static("1 or 2 keeps the better answer, esc closes", classes="hint", markup=False)

    def on_mount(self) -> None:
        """Both are asked at once; one server that holds both answers one after the other."""
        for index in range(len(self._names)):
            self._head(index, "waits")
        self.run_worker(self._ask_both(), exit_on_error=False)

    def _head(self, index: int, state: str) -> None:
        parts = [f"{index + 1}: {inert(self._names[index])}", state]
        self._heads[index].update(Content(" · ".join(filter(None, parts))))

    async def _ask_both(self) -> None:
        try:
            engines = await self._open(self._names)
        except PipelineError as error:
            self._turns[0].feed(f"*{inert(as_slash(str(error)))}*")
            await self._turns[0].finish()
            return
        try:
            await asyncio.gather(*(self._ask(index, engine) for index, engine in enumerate(engines)))
        finally:
            for engine in reversed(engines):
                await engine.aclose()

    async def _ask(self, index: int, engine: ChatEngine) -> None:
        from pipeline.chat.events import ChatOptions, Delta, Done

        turn = self._turns[index]
        asked: list[Message] = [{"role": "user", "content": self._prompt}]
        try:
            async with aclosing(engine.chat(asked, options=ChatOptions(max_tokens=LONGEST_ANSWER))) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        self._head(index, "answers")
                        turn.feed(event.text)
                    elif isinstance(event, Done):
                        await turn.finish(engine=engine.label, tokens_per_second=event.tokens_per_second)
                        self._ready[index] = True
                        self._head(index, "stopped at its longest" if event.reason == "length" else "")
        except PipelineError as error:
            turn.feed(f"*{inert(as_slash(str(error)))}*")
            await turn.finish()
        except Exception as error:
            turn.feed(f"\n\n*{unforeseen(self._lab, 'the answer', error)}*")
            await turn.finish()

    async def action_pick(self, index: int) -> None:
        """Keeps the choice, once both have answered."""
        from pipeline.judgements import prefer

        if not all(self._ready):
            self.notify("both have to answer first", markup=False, timeout=3)
            return
        other = 1 - index
        models = (self._names[index], self._names[other])
        texts = (self._turns[index].text, self._turns[other].text)
        try:
            await asyncio.to_thread(prefer, self._lab, self._prompt, *texts, models)
        except PipelineError as error:
            self.notify(as_slash(str(error)), severity="error", markup=False)
            return
        self.dismiss(self._names[index])
