"""Several models answer the same questions: each in a server of its own, at the same time where they are small.

A small model gains little from a second core, since the cores wait for each other at every layer; two servers with a
core each answer more than one with two. Nor may models share a server: llama.cpp keeps the states of prompts that it
has seen and reuses them whatever LoRA scale a request asks for, so that one server would hand the base's states to
the tuned model.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.bases.base import Base
from pipeline.chat import EmbeddedServer, Message
from pipeline.chat.server import usable_cores

CONTEXT = 2048
"""Tokens a slot: the longest question, a fingerprint, takes about 300 with its answer; three passages add 600."""
STOP = ("\n\n\n",)

Place = int
"""Where a prompt stands among its model's prompts."""
Text = str


@dataclass(frozen=True)
class Asked:
    """One model's part: what is loaded, and the prompts with the most tokens that the answer to each may have."""

    model: str
    base: Base
    adapters: tuple[Path, ...]
    prompts: Sequence[list[Message]]
    longest: Sequence[int]
    log: Path


@dataclass
class _Together:
    """What the threads share: their answers, and whether anyone still wants them."""

    answers: queue.Queue[tuple[str, Place, Text] | BaseException | None] = field(default_factory=queue.Queue)
    unwanted: threading.Event = field(default_factory=threading.Event)


def answers_of(
    parts: Sequence[Asked], *, parallel: int, together: bool
) -> Generator[tuple[str, Place, Text], None, None]:
    """(model, the prompt's place, the answer), as they are done. Raises ChatError.

    `together` starts all servers at once, with the cores shared between them; else one follows the other. Closing the
    iterator ends the servers.
    """
    cores = usable_cores()
    groups = [parts] if together and cores > 1 else [[part] for part in parts]
    for group in groups:
        yield from _group(group, parallel, max(1, cores // len(group)))


def _group(parts: Sequence[Asked], parallel: int, threads: int) -> Generator[tuple[str, Place, Text], None, None]:
    shared = _Together()
    shape: dict[str, Any] = {"parallel": parallel, "context": CONTEXT, "threads": threads}
    servers = [EmbeddedServer(part.base, part.adapters, log=part.log, **shape) for part in parts]
    workers = [
        threading.Thread(target=_ask, args=(part, server, shared), name=f"ask-{part.model}", daemon=True)
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


def _until_all_ended(shared: _Together, working: int) -> Generator[tuple[str, Place, Text], None, None]:
    while working:
        found = shared.answers.get()
        if isinstance(found, BaseException):
            raise found
        if found is None:
            working -= 1
        else:
            yield found


def _ask(part: Asked, server: EmbeddedServer, shared: _Together) -> None:
    """One model's thread."""
    try:
        texts = server.complete_many(part.prompts, adapter=bool(part.adapters), max_tokens=part.longest, stop=STOP)
        with closing(texts):
            for place, text in texts:
                shared.answers.put((part.model, place, text))
                if shared.unwanted.is_set():
                    return
        shared.answers.put(None)
    except BaseException as error:
        shared.answers.put(error)
