"""What commands and controllers ask of the main screen: cards, notes, questions, sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any

from textual.screen import Screen
from textual.widget import Widget

from benlab_tui.crash_log import unforeseen
from benlab_tui.errors import ConsoleError
from benlab_tui.phrasing import as_slash
from benlab_tui.widgets.lab_pane import LabPane
from benlab_tui.widgets.topline import TopLine
from benlab_tui.widgets.transcript import PAGE, Transcript
from benlab_tui.widgets.turns import NoteTurn, ReplyTurn, UserTurn
from pipeline.chats import Chats, Message, Session
from pipeline.errors import LabError, PipelineError
from simulator.errors import SimulatorError

if TYPE_CHECKING:
    from benlab_tui.control.chat import Chat
    from benlab_tui.control.engines import Engines, Opener
    from benlab_tui.control.jobs import Jobs
    from benlab_tui.watch import JobView
    from pipeline.lab import Lab

FIRST = 4
"""Turns that the first paint shows; the rest of the page follows at once."""


class Desk(Screen[None]):
    """Holds the lab's chats, engine and jobs, and shows what happens to them."""

    on_busy: Callable[[bool], None] = staticmethod(lambda _busy: None)
    """Called when all that a console needs is loaded (False), and when an answer begins and ends."""

    def __init__(self, lab: Lab, chats: Chats, opener: Opener | None = None) -> None:
        super().__init__()
        self.lab, self.chats = lab, chats
        self.session: Session = chats.newest() or chats.start()
        self._opener = opener
        self.transcript = Transcript(
            self.widget_of,
            lambda before, count: self.chats.messages(self.session.id, count, before),
            lambda after, count: self.chats.after(self.session.id, after, count),
        )
        self.top = TopLine(id="top", markup=False)
        self.pane = LabPane()
        self._told: set[str] = set()
        self.closing = False
        self.last_result: dict[str, Any] | None = None
        """The newest experiment of this console, which F5 explains."""
        self.explaining = ""
        """The experiment whose explanation is on its way."""

    # What the first paint does without is imported and made when it is first used.

    @cached_property
    def jobs(self) -> Jobs:
        """The lab's jobs."""
        from benlab_tui.control.jobs import Jobs

        return Jobs(self.lab, self.job_changed)

    @cached_property
    def engines(self) -> Engines:
        """The engine in use."""
        from benlab_tui.control.engines import Engines

        return Engines(self.lab, self._opener, self.chats.recall("model") or self._model_of_config(), self.ask)

    def _model_of_config(self) -> str:
        """`[chat] model` of benlab.toml; "auto" where it names none. What was chosen in the console wins over it."""
        try:
            model = self.lab.config().get("chat", {}).get("model")
        except (LabError, AttributeError):
            return "auto"
        return model if isinstance(model, str) and model else "auto"

    @cached_property
    def chat(self) -> Chat:
        """Who answers questions."""
        from benlab_tui.control.chat import Chat

        return Chat(self)  # type: ignore[arg-type]

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]], group: str, exclusive: bool = True) -> None:
        """Runs work beside the screen; once the console closes nothing new begins."""

        async def start() -> None:
            await self._guarded(work)

        if not self.closing:
            self.run_worker(start, group=group, exclusive=exclusive, exit_on_error=False)  # type: ignore[arg-type]

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Whatever goes wrong is one sentence, never the end of the console."""
        try:
            await work()
        except (ConsoleError, PipelineError, SimulatorError) as error:
            self.warn(str(error))
        except Exception as error:
            if not self.closing:
                self.warn(unforeseen(self.lab, "that", error))

    def stored(self, limit: int = PAGE * 2) -> list[Message]:
        """The session's last messages."""
        return self.chats.messages(self.session.id, limit)

    def keep(self, role: str, content: str, **meta: Any) -> int | None:
        """Stores a message; where lab.db cannot take it the person is told once and the chat goes on."""
        try:
            return self.chats.add(self.session.id, role, content, **meta).id
        except LabError as error:
            self.warn(str(error))
            return None

    def widget_of(self, message: Message) -> Widget | None:
        """A stored message as a turn or card."""
        if message.role in ("user", "command"):
            turn = UserTurn(message.content, message.id)
            return turn.set_class(message.role == "command", "-command")
        if message.role == "assistant":
            return ReplyTurn(message.content, message.id, message.meta)
        if message.role == "note":
            return NoteTurn(message.content, bool(message.meta.get("error")), message.id)
        if "result" in message.meta:
            from benlab_tui.widgets.experiment_card import ExperimentCard

            return ExperimentCard(message.meta["result"], message.id)
        if "job" not in message.meta:
            return NoteTurn(message.content, message_id=message.id)
        from benlab_tui.widgets.job_card import JobCard

        job_id = str(message.meta["job"])
        if job_id not in self.jobs.views:
            self.call_after_refresh(self.spawn, self.find_jobs, "jobs")
        return JobCard(self.jobs.expected(job_id, message.content.partition(" ")[0]), message.id)

    async def find_jobs(self) -> None:
        """Shows the jobs that outlived a former console, or died with it."""
        await self.pane.show_jobs(await self.jobs.find())
        self.refresh_lab()

    async def note(self, text: str) -> None:
        """A line of the console in the transcript."""
        text = as_slash(text)
        await self.transcript.add(NoteTurn(text, message_id=self.keep("note", text)))

    async def error(self, text: str) -> None:
        """What went wrong, in one sentence."""
        text = as_slash(text)
        await self.transcript.add(NoteTurn(text, True, self.keep("note", text, error=True)))

    async def answer(self, text: str, **meta: Any) -> None:
        """A command's text, shown as it is; `meta` is stored with it."""
        text = as_slash(text)
        await self.transcript.add(NoteTurn(text, message_id=self.keep("note", text, **meta)).add_class("-plain"))

    def warn(self, text: str) -> None:
        """A toast, once for each text."""
        text = as_slash(text)
        if text not in self._told:
            self._told.add(text)
            self.notify(text, severity="warning", markup=False, timeout=10)

    async def ask(self, question: str, default: bool = False) -> bool:
        """Yes or no, in a dialog."""
        from benlab_tui.screens.confirm import Confirm
        from benlab_tui.widgets.prompt import Prompt

        typing = any(prompt.text for prompt in self.query(Prompt))
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def said(yes: bool | None) -> None:
            if not answer.done():
                answer.set_result(bool(yes))

        self.app.push_screen(Confirm(question, default, typing), said)
        return await answer

    async def show_card(self, card: Widget) -> None:
        """A card in the transcript."""
        await self.transcript.add(card)

    async def show_job(self, view: JobView) -> None:
        """A job's card here and in the lab pane."""
        from benlab_tui.widgets.job_card import JobCard

        self.keep("card", f"{view.kind} {view.id}", job=view.id)
        await self.transcript.add(JobCard(view))
        await self.pane.show_jobs([view])

    async def show_experiment(self, result: dict[str, Any], **meta: Any) -> None:
        """An experiment's card; `meta` is stored with it."""
        from benlab_tui.widgets.experiment_card import ExperimentCard

        text = f"{result.get('experiment')} {result.get('experiment_id')}: {result.get('summary', '')}"
        await self.transcript.add(ExperimentCard(result, self.keep("card", text, result=result, **meta)))
        self.last_result = result
        self.refresh_bindings()

    def job_changed(self, view: JobView) -> None:
        """Draws every card of the job again."""
        for draw in list(view.watchers):
            draw()
        if view.state != "running":
            self.refresh_lab()

    async def cancel_job(self, job_id: str | None) -> str:
        """Cancels a job (the newest that runs without an id) and says which."""
        running = self.jobs.running()
        chosen = [view for view in running if job_id in (None, "", view.id)]
        if not chosen:
            return "no job runs" if not job_id else f"no running job is named {job_id}"
        await self.jobs.cancel(chosen[0].id)
        from benlab_tui.commands.cancel import going_on

        return f"{chosen[0].kind} was cancelled{as_slash(going_on(self.lab, chosen[0].id))}"

    def show_busy(self, busy: bool) -> None:
        """Whether an answer is on its way."""
        self.top.busy = busy
        self.on_busy(busy)

    def show_engine(self) -> None:
        """Who answers, in the top line."""
        self.top.engine = self.engines.label or as_slash(self.engines.problem)
        self.top.session = self.session.title

    def refresh_lab(self) -> None:
        """Reads the lab folder again."""
        self.spawn(self._read_facts, "facts")

    async def _read_facts(self) -> None:
        from benlab_tui.facts import facts

        self.pane.show_facts(await asyncio.to_thread(facts, self.lab))
        self.refresh_bindings()

    async def reopen_engine(self) -> None:
        """Closes the engine, so that the next question finds the model that now is there."""
        if not self.chat.busy:
            await self.engines.close()
            self.spawn(self.open_engine, "engine")

    async def open_engine(self) -> None:
        """Opens the engine ahead of the first question; a problem stands in the top line."""
        try:
            engine = await self.engines.get()
            if engine.is_remote:
                self.warn(f"{engine.label} is not on this machine: you are asked before anything is sent")
        except PipelineError:
            pass
        self.show_engine()
