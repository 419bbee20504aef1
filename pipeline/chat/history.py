"""What a conversation holds: its messages, the results in it, and which of their numbers an answer may repeat.

**If the context is short.** The engine reads at most the last 40 messages. If they fill more than half of the context,
all results but the last two are shortened to one line each (settings and main numbers). If the prompt still does not
fit, the engine drops the oldest turns, each with its calls and results, and keeps the question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.chat.events import Message, ToolCall
from pipeline.chat.known_numbers import Known
from pipeline.chat.number_check import run_in_words
from pipeline.chat.result_text import result_text, short_text
from simulator import notebook_search

if TYPE_CHECKING:
    from pipeline.chats import Message as Stored

MOST_MESSAGES = 40
_WHOLE_RESULTS = 2
_LETTERS_PER_TOKEN = 3.0
_USUAL_CONTEXT = 4096
_ROLES = {"user", "assistant", "tool", "command", "card", "note"}


class History:
    """The messages of one chat, as an engine takes them."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.runs: list[dict[str, Any]] = []
        """All results of the chat, those that the notebook found included."""
        self.strange: set[str] = set()
        """Roles of stored entries that are not known here; such entries are left out."""
        self._before: dict[str, Any] | None = None
        self._short: dict[int, str] = {}
        self._texts: list[str] = []

    @property
    def has_results(self) -> bool:
        """Whether something was run or looked up."""
        return bool(self._texts)

    @property
    def question(self) -> str:
        """The newest question; "" before the first."""
        return next((m["content"] for m in reversed(self.messages) if m["role"] == "user"), "")

    def add(self, role: str, text: str) -> None:
        """Append a system prompt, a question or an answer; an answer with nothing before it is left out."""
        if text and (role != "assistant" or self.messages):
            self.messages.append({"role": role, "content": text})

    def add_calls(self, text: str, calls: Sequence[ToolCall]) -> None:
        """Append an answer with the calls in it."""
        if calls:
            asked = [{"id": c.id, "function": {"name": c.name, "arguments": dict(c.arguments)}} for c in calls]
            self.messages.append({"role": "assistant", "content": text, "tool_calls": asked})
        else:
            self.add("assistant", text)

    def replace_call(self, call: ToolCall) -> None:
        """Put `call` in the place of the call of that id."""
        for message in self.messages:
            for made in message.get("tool_calls", ()):
                if made["id"] == call.id:
                    made["function"] = {"name": call.name, "arguments": dict(call.arguments)}

    def add_run(self, result: dict[str, Any], call: ToolCall | None = None) -> str:
        """Append a result as a tool message and return its text; without a call it is a run that the person made.

        It is compared with the result before it, unless that is the notebook's.
        """
        text = result_text(result, self._before)
        found = runs_of(result)
        if found == [result]:
            self._before = result
        self.runs += found
        self._short[len(self.messages)] = short_text(result)
        self.add_result(text, call)
        return text

    def add_result(self, text: str, call: ToolCall | None = None) -> None:
        """Append a tool message, such as a refusal."""
        message: Message = {"role": "tool", "content": text}
        if call is not None:
            message = {**message, "tool_name": call.name, "tool_call_id": call.id}
        self._texts.append(text)
        self.messages.append(message)

    def sent(self, context_length: int) -> list[Message]:
        """Return the messages for an engine with that context, by the rule in this module's first lines."""
        start = max(0, len(self.messages) - MOST_MESSAGES)
        while 0 < start < len(self.messages) - 1 and self.messages[start]["role"] != "user":
            start += 1
        first = [message for message in self.messages[:start] if message["role"] == "system"]
        window = dict(enumerate(self.messages[start:], start))
        room = 0.5 * _LETTERS_PER_TOKEN * (context_length or _USUAL_CONTEXT)
        if sum(len(message["content"]) for message in window.values()) > room:
            for place in [place for place in window if place in self._short][:-_WHOLE_RESULTS]:
                window[place] = {**window[place], "content": self._short[place]}
        return [*first, *window.values()]

    def known(self) -> Known:
        """Return the numbers that an answer may repeat; the run that the question spells out counts, and is made."""
        questions = [message["content"] for message in self.messages if message["role"] in ("user", "system")]
        spelled = run_in_words(self.question)
        return Known.of([*self.runs, *([spelled] if spelled else [])], questions, self._texts)

    def restore(self, stored: Iterable[Stored]) -> History:
        """Append a stored session: questions, answers, and the runs of the model and of the person; return self."""
        for message in stored:
            meta = message.meta
            if message.role not in _ROLES:
                self.strange.add(message.role[:40])
            elif isinstance(meta.get("result"), dict):
                self._restore_run(meta["result"], meta.get("call"))
            elif message.role == "user" or (message.role == "assistant" and meta.get("kind") != "command"):
                self.add(message.role, message.content)
        return self

    def _restore_run(self, result: dict[str, Any], made: Any) -> None:
        call = None
        if isinstance(made, dict) and isinstance(made.get("arguments"), dict):
            call = ToolCall(f"call-{len(self.messages)}", str(made.get("name")), made["arguments"])
            self.add_calls("", [call])
        self.add_run(result, call)


def runs_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the runs that a result is about: itself, or those that the notebook found."""
    if result.get("experiment") != notebook_search.NAME:
        return [result]
    return [row["result"] for row in result.get("runs", ()) if isinstance(row, dict) and "result" in row]
