"""What goes into a chat and what comes out of it, whichever engine answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypedDict


class _Named(TypedDict):
    role: str
    content: str


class Message(_Named, total=False):
    """One turn: role system, user, assistant or tool.

    An assistant's `tool_calls` are `{"id", "function": {"name", "arguments": {...}}}`; a tool's answer
    carries the `tool_call_id` and `tool_name` of the call that it answers.
    """

    tool_calls: list[dict[str, Any]]
    tool_call_id: str
    tool_name: str


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How to decode. None leaves the setting of `decoding.decoding` as it is."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repeat_penalty: float | None = None
    repeat_last_n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    format: dict[str, Any] | None = None
    """Ollama only: a JSON schema that the answer keeps to."""
    adapter_scale: float | None = None
    """Embedded engine only: 0 answers as the base, 1 as the tuned model; nothing is loaded again."""

    def over(self, defaults: ChatOptions) -> ChatOptions:
        """These options, with what they leave open taken from `defaults`."""
        values = {
            name: mine if (mine := getattr(self, name)) not in (None, ()) else getattr(defaults, name)
            for name in self.__dataclass_fields__
        }
        return ChatOptions(**values)


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for; `arguments` are not validated yet."""

    id: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """The end of an answer: reason (stop, length, tool_calls, repetition, …), counts in tokens, times in seconds.

    `dropped_messages` is how many of the oldest turns had to be left out so that the prompt fitted. `seed` makes the
    same engine write the same answer again.
    """

    reason: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tokens_per_second: float = 0.0
    first_token_seconds: float = 0.0
    context_length: int = 0
    dropped_messages: int = 0
    seed: int | None = None


_LARGEST_COUNT = 2**53


def count(value: Any) -> int:
    """Return a server's count as a whole number from 0 to 2^53; 0 if it is not one."""
    sound = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT
    return int(value) if sound else 0


ChatEvent = Delta | ToolCall | Done
