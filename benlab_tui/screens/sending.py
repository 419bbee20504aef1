"""From the prompt to the transcript: what is sent, what comes back, and which session is shown."""

from __future__ import annotations

import asyncio
from functools import partial

from textual import on

from benlab_tui.screens.desk import Desk
from benlab_tui.text import one_line
from benlab_tui.widgets.prompt import Prompt
from benlab_tui.widgets.turns import ReplyTurn, UserTurn
from benlab_tui.widgets.welcome import Welcome
from pipeline.errors import LabError
from simulator.masking import mask_line

LONGEST_MESSAGE = 100_000


class Sending(Desk):
    """A slash line becomes a command, anything else a question."""

    @on(Prompt.Sent)
    async def sent(self, event: Prompt.Sent) -> None:
        """A slash line is a command; anything else a question (`//` for one that starts with a slash)."""
        text = event.text.strip()
        if len(text) > LONGEST_MESSAGE:
            return self._refuse(
                text, f"the message has {len(text):,} characters, above the most, {LONGEST_MESSAGE:,}: shorten it"
            )
        if not text.startswith("/") and self.chat.busy:
            return self._refuse(text, "an answer is still on its way: esc stops it")
        self.query_one(Prompt).remember(mask_line(text) if text.startswith("/") else text)
        await self.send(text)

    def _refuse(self, text: str, why: str) -> None:
        """Says why, and gives the text back where the prompt is still empty."""
        self.notify(why, severity="warning", markup=False)
        prompt = self.query_one(Prompt)
        if not prompt.text:
            prompt.take_back(text)

    async def send(self, text: str) -> None:
        """Shows what was sent and acts on it."""
        command = text.startswith("/") and not text.startswith("//")
        await self.to_end()
        for welcome in self.query(Welcome):
            await welcome.remove()
        role = "command" if command else "user"
        content = mask_line(text) if command else text.removeprefix("/") if text.startswith("//") else text
        turn = UserTurn(content, self.keep(role, content))
        await self.transcript.add(turn.set_class(command, "-command"))
        self.transcript.scroll_end(animate=False)
        if command:
            from benlab_tui.control.slash import run_line

            self.spawn(partial(run_line, self, text), "commands", exclusive=False)
        else:
            if self.session.title == "new chat":
                self.session = self.chats.session(self.session.id) or self.session
                self.show_engine()
            from benlab_tui.control.edits import PLOT, plot_last

            if PLOT.fullmatch(content.strip()) and await plot_last(self):
                return
            self.chat.start()

    async def to_end(self) -> None:
        """Shows the live end where the window stands elsewhere."""
        if self.transcript.last is not None:
            await self.transcript.show(self.stored())
        self.transcript.anchor()

    async def new_session(self) -> None:
        """Shows an empty session."""
        await self.open_session(self.chats.start().id)

    async def open_session(self, session_id: int) -> None:
        """Shows another session."""
        await self.chat.stop()
        self.session = self.chats.session(session_id) or self.session
        await self.transcript.show(self.stored())
        self.show_engine()
        self.query_one(Prompt).focus()

    async def no_answer(self, problem: str) -> None:
        """No engine could be opened: what is missing, and the key that mends it."""
        from benlab_tui.facts import bases

        hint = "" if bases(self.lab) else " (press f4 to pull smollm2; every other command works without a model)"
        await self.error(f"{one_line(problem, 400)}{hint}")

    async def after_answer(self, turn: ReplyTurn) -> None:
        """The title follows the first question; an explanation is kept with its run."""
        from pipeline.judgements import keep_explanation

        experiment, self.explaining = self.explaining, ""
        if experiment and turn.text.strip() and not turn.meta.get("partial"):
            try:
                await asyncio.to_thread(
                    keep_explanation, self.lab, experiment, turn.text, str(turn.meta.get("model", ""))
                )
            except LabError as error:
                self.warn(str(error))
        self.session = self.chats.session(self.session.id) or self.session
        self.show_engine()
