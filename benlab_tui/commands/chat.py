"""`chat`: the console's chat without a screen, a turn a line of standard input."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.errors import BadArgument, ConsoleError
from benlab_tui.headless_talk import Lines, speak, told
from benlab_tui.registry import command
from benlab_tui.terminal import err, out, out_json
from pipeline.errors import PipelineError
from simulator.errors import SimulatorError

if TYPE_CHECKING:
    from benlab_tui.headless_context import HeadlessContext
    from pipeline.chat.conversation import Conversation
    from pipeline.chats import Chats

LONGEST_TURN = 100_000


class ChatParams(BaseModel):
    """Who answers, which conversation goes on, and which long runs need no question."""

    model_config = ConfigDict(extra="forbid")

    session: str = Field(
        default="", max_length=60, description="the stored conversation to continue or begin; none is stored if empty"
    )
    model: str = Field(default="ben-lab", min_length=1, max_length=200, description="ben-lab, base, or a version")
    allow: list[str] = Field(
        default_factory=list, description="long runs that may start unasked", examples=[["sweep", "discovery"]]
    )
    max_tokens: int = Field(default=512, ge=1, le=32_768, description="the greatest length of an answer (tokens)")


@command(
    "chat",
    "chat with ben-lab, a line of standard input a turn; a leading / is a command",
    params=ChatParams,
    where="headless",
    group="Chat",
    streams=True,
    examples=("chat", "chat --json < questions.txt", "chat session=cluster allow=sweep"),
)
async def chat(context: Any, params: ChatParams) -> None:
    """Ends at the end of the file. Raises ChatError if no engine can be opened, BadArgument for an unknown `allow`."""
    from pipeline.chat import ChatOptions, open_engine
    from pipeline.chat.conversation import Conversation
    from pipeline.chat.lab_tools import names

    if strange := [name for name in params.allow if name not in names()]:
        raise BadArgument(f"allow names {strange[0]!r}, which is not a tool: use {', '.join(sorted(names()))}")
    engine = await open_engine(context.lab, params.model)
    try:
        if engine.is_remote and not await context.confirm(
            f"{engine.label} is not on this machine. Send this chat there?"
        ):
            return
        talk = Conversation(engine, context.lab, allow=params.allow)
        await _Loop(context, talk, ChatOptions(max_tokens=params.max_tokens), params.session).run()
    finally:
        await engine.aclose()


class _Loop:
    """Reads turns until the input ends; a turn that fails is told, and the next one read."""

    def __init__(self, context: HeadlessContext, talk: Conversation, options: Any, session: str) -> None:
        from pipeline.chats import Chats

        self._context, self._talk, self._options = context, talk, options
        self._lines = Lines()
        self._chats: Chats | None = Chats(context.lab.database) if session else None
        self._session = 0
        if self._chats is not None:
            self._open(self._chats, session)

    def _open(self, chats: Chats, name: str) -> None:
        same = [session for session in chats.sessions(1000) if session.title == name]
        self._session = same[0].id if same else chats.start(name).id
        history = self._talk.history.restore(chats.messages(self._session))
        if history.strange:
            roles = ", ".join(sorted(history.strange))
            err(f"benlab: session {name} has entries of unknown roles ({roles}); they are kept and not sent\n")

    async def run(self) -> None:
        """Answer every line."""
        try:
            while (line := await self._lines.next("> ")) is not None:
                if line.strip():
                    await self._turn(line)
        finally:
            if self._chats is not None:
                self._chats.close()

    async def _turn(self, line: str) -> None:
        as_json = self._context.as_json
        try:
            text = _text(line) if as_json else line.strip()
            if text.startswith("/") and not text.startswith("//"):
                await self._command(text)
                return
            await self._answer(text.removeprefix("/") if text.startswith("//") else text)
        except (ConsoleError, PipelineError, SimulatorError) as error:
            if as_json:
                out_json({"event": "failed", "error": str(error), "kind": type(error).__name__})
            else:
                err(f"benlab: {error}\n")

    async def _answer(self, text: str) -> None:
        if len(text) > LONGEST_TURN:
            raise BadArgument(f"the turn has {len(text):,} characters, above the most, {LONGEST_TURN:,}: shorten it")
        as_json = self._context.as_json
        self._keep("user", text)
        asks = sys.stdin.isatty() and not as_json
        answer, ran = await speak(
            self._talk, text, as_json=as_json, ask=self._lines.confirm if asks else None, options=self._options
        )
        for run in ran:
            call = {"name": run["name"], "arguments": run["args"]}
            self._keep("card", str(run["result"].get("summary", "")), result=run["result"], call=call)
        self._keep("assistant", answer.text, engine=self._talk.engine.label, model=self._talk.engine.model)
        if as_json:
            out_json(told(self._talk, answer))

    async def _command(self, line: str) -> None:
        """Run a command of the command line; a run counts as context, as in the console."""
        from benlab_tui import arguments, registry
        from benlab_tui.plain_text import as_text

        words = arguments.split(line[1:])
        if not words:
            raise BadArgument("a slash alone is not a command: type a name after it, or /help")
        chosen = registry.find(words[0], "headless")
        if chosen.streams:
            raise BadArgument(f"/{chosen.name} cannot run inside a chat: run `benlab {chosen.name}` in a shell")
        variant, params = arguments.parse(chosen, words[1:])
        value = await chosen.run(self._context, (variant, params) if variant else params) or {}
        self._keep("command", line)
        if "experiment_id" in value and "params" in value:
            self._talk.history.add_run(value)
            self._keep("card", str(value.get("summary", "")), result=value)
        if self._context.as_json:
            out_json({"event": "command", "name": chosen.name, "result": value})
        elif value and not self._context.wrote:
            out(as_text(value) + "\n")
        self._context.wrote = False

    def _keep(self, role: str, text: str, **meta: Any) -> None:
        if self._chats is not None and (text or meta):
            self._chats.add(self._session, role, text, **meta)


def _text(line: str) -> str:
    """The turn's text: the line itself, or the `text` of a JSON object. Raises BadArgument."""
    if not line.lstrip().startswith("{"):
        return line.strip()
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return line.strip()
    if not isinstance(value, dict):
        return line.strip()
    if not isinstance(value.get("text"), str) or not value["text"].strip():
        raise BadArgument('the turn is a JSON object without a text: write {"text": "…"}')
    return str(value["text"]).strip()
