"""What a dialogue is played with: anything that replies to messages and chooses under a grammar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.chat.events import Message


@dataclass(frozen=True)
class Reply:
    """An answer as it was decoded; `ended` is false if it ran into its limit."""

    text: str
    ended: bool = True


class Talker(Protocol):
    """A model. Deterministic: the same messages give the same reply."""

    def reply(self, messages: Sequence[Message], *, tools: bool, most: int, grammar: str = "") -> Reply:
        """Return the next turn, at most `most` tokens. `tools`: experiments can be run. Raises ChatError."""
        ...

    def choose(self, messages: Sequence[Message], answer: str, lead: str, options: Sequence[str]) -> str:
        """Return the option with which the model completes its own answer followed by `lead`. Raises ChatError."""
        ...

    def complete(self, messages: Sequence[Message], begun: str, grammar: str) -> str:
        """Return what follows the answer that was begun, under a grammar. Raises ChatError."""
        ...
