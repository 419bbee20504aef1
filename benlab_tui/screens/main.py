"""The one screen: chat on the left, lab on the right."""

from __future__ import annotations

import asyncio
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Footer

from benlab_tui.screens.desk import FIRST
from benlab_tui.screens.sending import Sending
from benlab_tui.widgets.composer import Composer
from benlab_tui.widgets.prompt import Prompt
from benlab_tui.widgets.turns import Turn
from benlab_tui.widgets.welcome import Welcome
from simulator.errors import SimulatorError

if TYPE_CHECKING:
    from benlab_tui.registry import Command
    from benlab_tui.suggest import Suggestion
    from benlab_tui.widgets.job_card import JobCard

WIDE = 110
"""Columns from which the lab pane stands beside the chat."""


class MainScreen(Sending):
    """Lays out the console and turns keys into actions."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "Help", id="app.help"),
        Binding("f2", "models", "Model", id="chat.model"),
        Binding("f3", "sessions", "Sessions", id="chat.sessions"),
        Binding("f4", "pull", "Pull smollm2", id="lab.pull"),
        Binding("f5", "explain", "Explain", id="lab.explain"),
        Binding("escape", "stop", "Stop", id="chat.stop"),
        Binding("ctrl+n", "new", "New chat", id="chat.new"),
        Binding("ctrl+r", "again", "Again", show=False, id="chat.again"),
        Binding("ctrl+l", "lab", "Lab", id="lab.toggle"),
        Binding("ctrl+up", "turns", "Turns", show=False, id="chat.turns"),
    ]

    _commands: dict[str, Command] | None = None

    def compose(self) -> ComposeResult:
        self._fit(self.app.size.width)
        yield self.top
        with Horizontal(id="body"):
            with Vertical(id="chat"):
                with self.transcript:
                    shown = self.stored(FIRST)
                    yield from self.transcript.fill(shown)
                    if not shown:
                        yield Welcome(self.lab)
                yield Composer(self.suggest)
            yield self.pane
        yield Vertical(id="foot")

    def on_resize(self, event: events.Resize) -> None:
        """The lab pane needs width."""
        self._fit(event.size.width)

    def _fit(self, width: int) -> None:
        self.set_class(width >= WIDE, "-wide")
        self.set_class(width < WIDE, "-narrow")

    def on_mount(self) -> None:
        """The prompt is ready at once; everything else comes after the first paint."""
        self.query_one(Prompt).focus()
        self.top.session = self.session.title
        self.call_after_refresh(self.spawn, self._settle, "start")

    async def _settle(self) -> None:
        """After the first paint: the rest of the page, the jobs of former consoles, the engine, the commands."""
        await self.query_one("#foot").mount(Footer(compact=True))
        await self.pane.fill()
        self.query_one(Prompt).set_history(self.chats.prompts())
        while await self.transcript.show_earlier() and len(self.transcript.children) < self.size.height:
            pass
        self.refresh_lab()
        await asyncio.to_thread(self._warm)
        await self._tell_upgrade()
        await self.find_jobs()
        # What came above was measured while the last turns had not found their heights yet.
        self.call_after_refresh(self.transcript.to_end)
        self.on_busy(False)
        self.spawn(self.open_engine, "engine")

    async def _tell_upgrade(self) -> None:
        """Once for each physics version: what of an older one the lab keeps, and which commands renew it."""
        from simulator.fingerprint import PHYSICS_VERSION

        if self.chats.recall("physics") == PHYSICS_VERSION:
            return
        from pipeline.upgrade import upgrade_note

        try:
            text = await asyncio.to_thread(upgrade_note, self.lab)
        except SimulatorError as error:
            self.warn(str(error))
            return
        if text:
            await self.note(text)
        self.chats.remember("physics", PHYSICS_VERSION)

    def _warm(self) -> None:
        """In a thread: what the first slash and the first question would otherwise wait for."""
        from pipeline.chat.lab_tools import schemas

        import_module("pipeline.chat.events")
        schemas()
        self._load_commands()

    def _load_commands(self) -> dict[str, Command]:
        from benlab_tui.registry import commands

        known = {name: command for name, command in commands().items() if command.where != "headless"}
        self._commands = known
        return known

    def suggest(self, line: str) -> list[Suggestion]:
        """What may follow in a slash line."""
        from benlab_tui.suggest import suggest

        return suggest(line, self.known_commands())

    def known_commands(self) -> dict[str, Command]:
        """The console's commands by name."""
        return self._commands or self._load_commands()

    def begin(self, line: str) -> None:
        """Puts the start of a line into the prompt."""
        prompt = self.query_one(Prompt)
        prompt.put(line)
        prompt.focus()

    def on_key(self, event: events.Key) -> None:
        """What is typed on a card and is no key of it goes to the prompt, which a narrow screen then shows."""
        typed = event.character or ""
        if event.is_printable and not typed.isspace() and event.key not in self.active_bindings:
            event.stop()
            if self.has_class("-narrow"):
                self.remove_class("-lab-turned")
            prompt = self.query_one(Prompt)
            self.set_focus(prompt)  # at once: the next key may be waiting already
            prompt.insert(typed)

    async def action_stop(self) -> None:
        """Esc: closes the list, else stops the answer, else asks whether to cancel the newest job."""
        if self.query_one(Composer).close():
            return
        if await self.chat.stop():
            return
        if running := self.jobs.running():
            self.spawn(partial(self._cancel_asked, running[0].kind, running[0].id), "cancel")
            return
        self.query_one(Prompt).focus()

    async def _cancel_asked(self, kind: str, job_id: str) -> None:
        if await self.ask(f"Cancel {kind}?", default=True):
            await self.cancel_job(job_id)

    def action_help(self) -> None:
        """F1: keys, commands and first steps."""
        from benlab_tui.screens.help import Help

        self.app.push_screen(Help(self.known_commands()))

    def action_models(self) -> None:
        """F2: which model answers."""
        from benlab_tui.screens.models import choose_model

        self.spawn(partial(choose_model, self), "pick")

    def action_sessions(self) -> None:
        """F3: earlier sessions, with search."""
        from benlab_tui.screens.sessions import choose_session

        self.spawn(partial(choose_session, self), "pick")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The offer to pull a base goes once one is here."""
        if action == "pull":
            from benlab_tui.facts import bases

            return not bases(self.lab)
        if action == "explain":
            return self.last_result is not None
        return True

    def action_explain(self) -> None:
        """F5: ben-lab explains the newest experiment; offered once there is one."""
        from benlab_tui.control.insight import explain

        if self.last_result is not None:
            self.spawn(partial(explain, self, self.last_result), "edits")

    async def action_pull(self) -> None:
        """F4: fetches the default base; offered while none is here."""
        await self.send("/pull smollm2")

    def action_new(self) -> None:
        """Starts an empty session."""
        self.spawn(self.new_session, "session")

    def action_again(self) -> None:
        """Asks the last question again."""
        from benlab_tui.control.edits import again

        self.spawn(partial(again, self), "edits")

    def action_lab(self) -> None:
        """Shows or hides the lab pane."""
        self.toggle_class("-lab-turned")

    def action_turns(self) -> None:
        """Goes to the last turn, whose keys the footer then shows."""
        turns = list(self.query(Turn))
        if turns:
            turns[-1].focus()

    @on(Turn.Asked)
    async def turn_asked(self, event: Turn.Asked) -> None:
        """A key on a turn."""
        from benlab_tui.control.edits import act

        self.spawn(partial(act, self, event.turn, event.what), "edits")

    def on_job_card_asked(self, event: JobCard.Asked) -> None:
        """A key on a job's card."""
        from benlab_tui.control.jobs import pause

        if event.what == "pause":
            self.notify(pause(self.lab, event.view), markup=False, timeout=4)
        elif event.what in ("shell", "python"):
            from benlab_tui.as_code import job_line, job_python

            if (params := self.jobs.params(event.view.id)) is not None:
                write = job_line if event.what == "shell" else job_python
                self.app.copy_to_clipboard(write(event.view.kind, params))
                self.notify("copied", timeout=2)
            else:
                self.notify(f"the settings of {event.view.kind} are no longer in this lab", markup=False, timeout=4)
        elif event.view.state == "running":
            self.spawn(partial(self._cancel_asked, event.view.kind, event.view.id), "cancel")
