"""Asks once whether what a lab's files name may be used, and goes on from there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import Untrusted

if TYPE_CHECKING:
    from pipeline.lab import Lab

Answer = TypeVar("Answer")
Ask = Callable[[str], Awaitable[bool]]


async def with_trust(lab: Lab, ask: Ask | None, run: Callable[[], Awaitable[Answer]]) -> Answer:
    """What `run` returns. If it names what nobody has agreed to, a person is asked, and it runs once more.

    `ask` is None if no person can answer. Raises Untrusted then, and whatever `run` does.
    """
    try:
        return await run()
    except Untrusted:
        if ask is None or not await settle(lab, ask):
            raise
    return await run()


async def settle(lab: Lab, ask: Ask) -> int:
    """Ask for each thing without an answer, and keep the answers; returns how many there were."""
    from pipeline.trust import TrustStore, requests

    store = TrustStore()
    open_ones = [one for one in await asyncio.to_thread(requests, lab) if store.answer(one) is None]
    for request in open_ones:
        store.record(request, await ask(request.question()))
    return len(open_ones)
