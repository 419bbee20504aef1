"""A turn of a chat without a screen: text on the terminal, or one JSON event a line."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from benlab_tui.terminal import err, out, out_json

if TYPE_CHECKING:
    from pipeline.chat.conversation import Answered, Conversation
    from pipeline.chat.events import ChatOptions

Write = Callable[[str], Awaitable[None]]
Ask = Callable[[str], Awaitable[bool]]


async def speak(
    talk: Conversation,
    question: str,
    *,
    as_json: bool,
    ask: Ask | None,
    options: ChatOptions | None = None,
    write: Write | None = None,
) -> tuple[Answered, list[dict[str, Any]]]:
    """Ask, show what comes, and return the answer with its runs; long runs are refused if there is no `ask`.

    `write` takes the answer's text in place of standard output.
    Raises ChatError.
    """
    from pipeline.chat import conversation as c
    from pipeline.chat.events import Delta

    ran: list[dict[str, Any]] = []
    async with aclosing(talk.ask(question, options)) as events:
        reply: Any = None
        while True:
            event = await events.asend(reply)
            reply = None
            if isinstance(event, c.AskFirst):
                reply = ask is not None and await ask(event.question)
            elif isinstance(event, c.ToolRan):
                ran.append({"name": event.call.name, "args": event.params, "result": event.result})
                if as_json:
                    out_json({"event": "tool", **ran[-1]})
            elif isinstance(event, c.ToolRefused) and as_json:
                name, args = event.call.name, dict(event.call.arguments)
                out_json({"event": "refused", "name": name, "args": args, "error": event.reason})
            elif isinstance(event, Delta) and not as_json:
                await _put(event.text, write)
            elif not as_json:
                if isinstance(event, c.Said) and event.text:
                    await _put("\n", write)
                _tell(event)
            if isinstance(event, c.Answered):
                return event, ran


async def _put(text: str, write: Write | None) -> None:
    if write is None:
        out(text)
    else:
        await write(text)


def _tell(event: Any) -> None:
    """Notes beside the answer: what runs, what was refused, and the numbers that are wrong."""
    from pipeline.chat import conversation as c

    if isinstance(event, c.ToolStarted):
        err(f"running {event.name} …\n")
    elif isinstance(event, c.ToolRefused):
        err(f"the call of {event.call.name[:60]} was refused: {event.reason}\n")
    elif isinstance(event, c.Answered):
        for check in event.checks:
            chip = check.as_chip()
            err(f"{'✓' if chip['ok'] else '✗'} {chip['text']}\n")
        if event.proposal:
            err(f"nothing was run in this chat, so its numbers are not measured: {event.proposal}\n")


def told(talk: Conversation, answer: Answered) -> dict[str, Any]:
    """Return the answer as an event."""
    more = {"proposal": answer.proposal} if answer.proposal else {}
    return {
        "event": "answer",
        "text": answer.text,
        "verified": [check.as_event() for check in answer.checks],
        "runs": answer.runs,
        "engine": talk.engine.label,
        "model": talk.engine.model,
        "seconds": round(answer.seconds, 3),
        **more,
    }


class Lines:
    """Standard input, line by line, without keeping the program from ending."""

    async def next(self, prompt: str = "") -> str | None:
        """Return the next line without its break, or None at the end of the file."""
        if prompt and sys.stdin.isatty():
            err(prompt)
        loop = asyncio.get_running_loop()
        found: asyncio.Future[bytes] = loop.create_future()

        def give(line: bytes) -> None:
            if not found.done():
                found.set_result(line)

        def read() -> None:
            line = sys.stdin.buffer.readline()
            loop.call_soon_threadsafe(give, line)

        threading.Thread(target=read, daemon=True).start()
        line = await found
        return line.decode("utf-8", "replace").rstrip("\r\n") if line else None

    async def confirm(self, question: str) -> bool:
        """Ask on the terminal; the default is no."""
        answer = await self.next(f"{question} [y/N] ")
        return (answer or "").strip().lower() in ("y", "yes")
