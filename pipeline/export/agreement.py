"""What quantising a merged model costs: how often it would choose another word than the adapter at run time."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.events import Event, Progress

if TYPE_CHECKING:
    from pipeline.bases.base import Base
    from pipeline.chat.events import Message

TOKENS = 24


def measure_agreement(
    base: Base, adapter_gguf: Path, merged: Path, prompts: list[list[Message]]
) -> Generator[Event, None, dict[str, Any]]:
    """`{"tokens", "agreeing", "share"}` over greedy answers of the base with its adapter.

    The merged model is asked for its next word after each prefix of those answers, so that one
    difference does not spoil all words after it. Raises ChatError.
    """
    from pipeline.chat.server import EmbeddedServer

    with EmbeddedServer.start(base, [adapter_gguf], parallel=1, context=1024) as server:
        asked = [server.tokenize(server.render(prompt)) for prompt in prompts]
        answers = [server.complete_tokens(tokens, adapter=True, n_predict=TOKENS)["tokens"] for tokens in asked]
    agreeing = total = 0
    with EmbeddedServer.start(merged, parallel=1, context=1024) as server:
        for number, (prompt, answer) in enumerate(zip(asked, answers, strict=True)):
            yield Progress("agreement", number, len(asked))
            for place, token in enumerate(answer):
                chosen = server.complete_tokens([*prompt, *answer[:place]], adapter=False, n_predict=1)["tokens"]
                agreeing += chosen[:1] == [token]
                total += 1
    yield Progress("agreement", len(asked), len(asked))
    return {"tokens": total, "agreeing": agreeing, "share": round(agreeing / max(total, 1), 4)}
