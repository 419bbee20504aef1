"""Several models work on the same tasks: each in a server of its own, at the same time if they are small.

A small model gains little from a second core, since the cores wait for each other at every layer; two servers with a
core each answer more than one with two. Nor may models share a server: llama.cpp keeps the states of prompts that it
has seen and reuses them whatever LoRA scale a request asks for, so that one server would hand the base's states to
the tuned model. Every task of a model goes to one of its slots and is worked on there turn by turn.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bases.base import Base
from pipeline.chat import EmbeddedServer, Message, lab_tools
from pipeline.chat.server import usable_cores
from pipeline.chat.tool_text import as_turns, tools_text, with_system_text
from pipeline.chat.tools import describe
from pipeline.evaluate.conversation.talker import Reply, Talker

if TYPE_CHECKING:
    import httpx

CONTEXT = 4096
"""Tokens a slot: the glossary takes about 1,600, a dialogue of three results 1,500."""
STOP = ("\n\n\n",)

Work = Callable[[Talker], Any]


@dataclass(frozen=True)
class Part:
    """One model's part: the files that are loaded, and what is to be done with it, as (key, work).

    `learned_tools`: it was trained on the line that names the tools; another model is told of them in words.
    """

    model: str
    base: Base
    adapters: tuple[Path, ...]
    tasks: Sequence[tuple[Any, Work]]
    log: Path
    learned_tools: bool = False


class EmbeddedTalker:
    """Talks through one embedded server, at temperature 0."""

    def __init__(self, server: EmbeddedServer, client: httpx.Client, part: Part) -> None:
        self._server, self._client, self._part = server, client, part

    def reply(self, messages: Sequence[Message], *, tools: bool, most: int, grammar: str = "") -> Reply:
        """Return the next turn, decoded greedily. Raises ChatError."""
        found = self._complete(self._prompt(messages, tools), n_predict=most, grammar=grammar)
        return Reply(found["content"], found["stop_type"] != "limit")

    def choose(self, messages: Sequence[Message], answer: str, lead: str, options: Sequence[str]) -> str:
        """Return the option with which the model completes `answer` and `lead`. Raises ChatError."""
        return self.complete(messages, f"{answer.strip()}{lead}", choice_grammar(options))

    def complete(self, messages: Sequence[Message], begun: str, grammar: str) -> str:
        """Return what follows the answer that was begun, under a grammar. Raises ChatError."""
        prompt = self._prompt(messages, False) + begun
        return self._complete(prompt, n_predict=64, grammar=grammar)["content"].strip()

    def _prompt(self, messages: Sequence[Message], tools: bool) -> str:
        turns = as_turns(messages)
        if tools:
            turns = with_system_text(turns, (tools_text if self._part.learned_tools else describe)(lab_tools.schemas()))
        return self._server.render(turns)

    def _complete(self, prompt: str, **options: Any) -> dict[str, Any]:
        adapter = bool(self._part.adapters)
        return self._server.complete(prompt, adapter=adapter, client=self._client, stop=list(STOP), **options)


def choice_grammar(options: Sequence[str]) -> str:
    """Return the GBNF grammar of one of several literal texts, with a space before it or not."""
    literals = " | ".join('"' + option.replace("\\", "\\\\").replace('"', '\\"') + '"' for option in options)
    return f'root ::= " "? ({literals})'


@dataclass
class _Together:
    """What the threads share: their answers, and whether anyone still wants them."""

    answers: queue.Queue[tuple[str, Any, Any] | BaseException | None] = field(default_factory=queue.Queue)
    unwanted: threading.Event = field(default_factory=threading.Event)


def outcomes_of(parts: Sequence[Part], *, parallel: int, together: bool) -> Generator[tuple[str, Any, Any], None, None]:
    """Yield (model, the task's key, what its work returned), as they are done. Raises ChatError.

    `together` starts all servers at once, with the cores shared between them; else one follows the other. Closing the
    iterator ends the servers.
    """
    cores = usable_cores()
    groups = [parts] if together and cores > 1 else [[part] for part in parts]
    for group in groups:
        yield from _group(group, parallel, max(1, cores // len(group)))


def _group(parts: Sequence[Part], parallel: int, threads: int) -> Generator[tuple[str, Any, Any], None, None]:
    shared = _Together()
    shape: dict[str, Any] = {"parallel": parallel, "context": CONTEXT, "threads": threads}
    servers = [EmbeddedServer(part.base, part.adapters, log=part.log, **shape) for part in parts]
    workers = [
        threading.Thread(target=_work, args=(part, server, shared), name=f"ask-{part.model}", daemon=True)
        for part, server in zip(parts, servers, strict=True)
    ]
    try:
        for server in servers:
            server.open()
        for worker in workers:
            worker.start()
        yield from _until_all_ended(shared, len(workers))
    finally:
        shared.unwanted.set()
        # What a thread still waits for ends with its server.
        for server in servers:
            server.close()
        for worker in workers:
            if worker.ident is not None:
                worker.join()


def _until_all_ended(shared: _Together, working: int) -> Generator[tuple[str, Any, Any], None, None]:
    while working:
        found = shared.answers.get()
        if isinstance(found, BaseException):
            raise found
        if found is None:
            working -= 1
        else:
            yield found


def _work(part: Part, server: EmbeddedServer, shared: _Together) -> None:
    """One model's thread: its tasks over the server's slots."""

    def one(task: tuple[Any, Work]) -> None:
        if not shared.unwanted.is_set():
            shared.answers.put((part.model, task[0], task[1](EmbeddedTalker(server, client, part))))

    try:
        with server.client() as client, ThreadPoolExecutor(server.parallel, thread_name_prefix=part.model) as pool:
            # A run between two requests may outlast the server's patience with an idle connection.
            client.headers["Connection"] = "close"
            for _ in pool.map(one, part.tasks):
                pass
        shared.answers.put(None)
    except BaseException as error:
        shared.answers.put(error)
