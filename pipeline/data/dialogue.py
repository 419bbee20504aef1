"""Builds the turns of one conversation of the training data, with the claims of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.chat.events import Message
from pipeline.chat.result_text import refusal_text, result_text
from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Draft

Result = Mapping[str, Any]


class Dialogue:
    """A conversation that grows turn by turn.

    Attributes:
        words: writes the numbers and verdicts of the answer that comes next, and claims them.
        tools: whether experiments can be run, so that the system prompt names them.
    """

    def __init__(self, words: Words, tools: bool) -> None:
        self.words = words
        self.tools = tools
        self._turns: list[Message] = []
        self._before: Result | None = None

    def ask(self, text: str) -> None:
        """The person says `text`."""
        self._turns.append(Message(role="user", content=text))

    def call(self, *calls: tuple[Run, Result]) -> None:
        """The model calls experiments, each with the settings that its run names, and gets their results."""
        self._call([run for run, _ in calls])
        for run, result in calls:
            self._result(run.experiment, result_text(result, self._before))
            self._before = result

    def call_refused(self, run: Run, reason: str) -> None:
        """The model calls an experiment, and the lab refuses it with `reason`."""
        self._call([run])
        self._result(run.experiment, refusal_text(reason))

    def answer(self, text: str) -> None:
        """The model says `text`, whose numbers came from `words`."""
        self._turns.append(Message(role="assistant", content=text))
        self.words.next_answer()

    def draft(self) -> Draft:
        """Return the conversation so far, which ends with an answer or a call."""
        return Draft(messages=tuple(self._turns), tools=self.tools)

    def _call(self, runs: list[Run]) -> None:
        asked = [{"function": {"name": run.experiment, "arguments": run.params}} for run in runs]
        self._turns.append(Message(role="assistant", content="", tool_calls=asked))
        self.words.next_answer()

    def _result(self, name: str, text: str) -> None:
        self._turns.append(Message(role="tool", content=text, tool_name=name))
