"""The chat engine over the embedded llama.cpp.

Prompts are rendered here, by the code that training uses, and go to the server as token ids. The server's own
chat endpoint renders with its own template engine and adds begin-of-text by its own rules, so its prompts can
differ from training's; the receipt of an install proves that these do not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any

from pipeline.chat.call_grammar import call_grammar
from pipeline.chat.decoding import DEFAULTS, wire, with_seed
from pipeline.chat.events import ChatEvent, ChatOptions, Done, Message, ToolCall
from pipeline.chat.http import READ_SECONDS, broken, error_text, sse, tls_for
from pipeline.chat.loops import REPETITION, LoopGuard
from pipeline.chat.server import EmbeddedServer
from pipeline.chat.tool_text import CALL, as_turns, tools_text, with_system_text
from pipeline.chat.tools import ToolReader, describe
from pipeline.errors import ChatError

_LEAST_ANSWER = 64
_WORD_TRIGGER = 1
"""llama.cpp's number of a trigger that is a word."""


class EmbeddedEngine:
    """Chats with the base (`adapter` False) or with one adapter (its number) of an `EmbeddedServer`.

    `learned_tools`: the model was trained with the line that names the tools; others get them described in words.
    Engines may share a server; the one with `owns_server` ends it in `aclose`. A child that has died is
    started again by the next message.
    """

    is_remote = False

    def __init__(
        self,
        server: EmbeddedServer,
        model: str,
        *,
        adapter: bool | int = False,
        defaults: ChatOptions | None = None,
        system: str = "",
        owns_server: bool = True,
        learned_tools: bool = False,
    ) -> None:
        self.server = server
        self.model = model
        self.adapter = adapter
        self.defaults = defaults or DEFAULTS
        self.system = system
        self.label = f"embedded llama.cpp · {model}"
        self.learned_tools = learned_tools
        self._owns_server = owns_server
        self._client: Any = None

    @property
    def context_length(self) -> int:
        """Tokens that prompt and answer may have together."""
        return self.server.context

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        options: ChatOptions | None = None,
    ) -> AsyncGenerator[ChatEvent, None]:
        """Streams the answer; closing the iterator stops the generation. Raises ChatError."""
        import httpx

        started = time.perf_counter()
        chosen = with_seed((options or ChatOptions()).over(self.defaults).over(DEFAULTS))
        try:
            client = await self._connect()
            tokens, dropped = await self._fit(client, self._with_system(messages), tools)
            body = self._body(tokens, chosen, tools)
            async with client.stream("POST", "/completion", json=body) as response:
                if response.status_code != 200:
                    text = error_text((await response.aread()).decode(errors="replace"))
                    raise ChatError(f"the embedded engine refused this message: {text}")
                async for event in self._read(response, started, dropped, ToolReader(offered=bool(tools))):
                    yield replace(event, seed=chosen.seed) if isinstance(event, Done) else event
        except httpx.HTTPError as error:
            raise self._failure(error) from error

    async def aclose(self) -> None:
        """Closes the connection, and ends the server where this engine owns it."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
        if self._owns_server:
            await asyncio.to_thread(self.server.close)

    async def _connect(self) -> Any:
        import httpx

        if not self.server.alive:
            await asyncio.to_thread(self.server.open)
            self._client = None
        if self._client is None:
            timeout = httpx.Timeout(READ_SECONDS, connect=5.0)
            self._client = httpx.AsyncClient(
                base_url=self.server.base_url,
                headers=self.server.headers,
                timeout=timeout,
                trust_env=False,
                verify=tls_for(self.server.base_url),
            )
        return self._client

    def _with_system(self, messages: Sequence[Message]) -> list[Message]:
        if self.system and not any(message["role"] == "system" for message in messages):
            return [{"role": "system", "content": self.system}, *messages]
        return list(messages)

    async def _fit(
        self, client: Any, messages: list[Message], tools: Sequence[dict[str, Any]] | None
    ) -> tuple[list[int], int]:
        """The prompt's tokens, and how many of the oldest turns were left out so that an answer has room."""
        limit, dropped = self.context_length - _LEAST_ANSWER, 0
        while True:
            tokens = await self._tokenize(client, self._render(messages, tools))
            if len(tokens) <= limit:
                return tokens, dropped
            first = 1 if messages[0]["role"] == "system" else 0
            if not _has_earlier_turn(messages, first):
                raise ChatError(f"the message has {len(tokens)} tokens and this model reads {limit}: shorten it")
            end = _turns_to_drop(messages, first, 1 - limit / len(tokens))
            dropped += end - first
            messages = messages[:first] + messages[end:]

    def _render(self, messages: list[Message], tools: Sequence[dict[str, Any]] | None) -> str:
        if self.adapter is False and "tools" in self.server.described.chat_template:
            return self.server.render(messages, tools)
        plain = as_turns(messages)
        if tools:
            plain = with_system_text(plain, tools_text(tools) if self.learned_tools else describe(tools))
        return self.server.render(plain)

    async def _tokenize(self, client: Any, prompt: str) -> list[int]:
        response = await client.post("/tokenize", json=self.server.tokenize_body(prompt))
        if response.status_code != 200:
            raise ChatError(f"the embedded engine refused this message: {error_text(response.text)}")
        return response.json()["tokens"]

    def _body(
        self, tokens: list[int], options: ChatOptions, tools: Sequence[dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        room = self.context_length - len(tokens)
        scale = 1.0 if options.adapter_scale is None else options.adapter_scale
        body: dict[str, Any] = {
            "prompt": tokens,
            "stream": True,
            "cache_prompt": True,
            "lora": self.server.lora(self.adapter, scale),
            "n_predict": min(room, options.max_tokens or room),
            "stop": list(options.stop),
            **wire(options),
        }
        if tools:
            # An answer in words stays free; from the mark of a call on it keeps to the tools' schemas.
            triggers = [{"type": _WORD_TRIGGER, "value": CALL}]
            body |= {"grammar": call_grammar(tools), "grammar_lazy": True, "grammar_triggers": triggers}
        return body

    async def _read(
        self, response: Any, started: float, dropped: int, reader: ToolReader
    ) -> AsyncGenerator[ChatEvent, None]:
        first, called, guard = 0.0, False, LoopGuard()
        async for part in sse(response):
            content = part.get("content", "")
            text = guard.feed(content) + (guard.end() if part.get("stop") else "")
            if content:
                first = first or time.perf_counter() - started
            if text:
                for event in reader.feed(text):
                    called = called or isinstance(event, ToolCall)
                    yield event
            if part.get("stop") or guard.looped:
                for event in reader.end():
                    called = called or isinstance(event, ToolCall)
                    yield event
                yield self._done(part, first, dropped, called, guard.looped)
                return
        raise ChatError("the embedded engine closed the connection in the middle of an answer: ask again")

    def _done(self, part: dict[str, Any], first: float, dropped: int, called: bool, looped: bool) -> Done:
        reason = REPETITION if looped else "length" if part.get("stop_type") == "limit" else "stop"
        return Done(
            "tool_calls" if called else reason,
            part.get("tokens_evaluated", 0),
            part.get("tokens_predicted", 0),
            part.get("timings", {}).get("predicted_per_second") or 0.0,
            first,
            self.context_length,
            dropped,
        )

    def _failure(self, error: Exception) -> ChatError:
        # A killed child is reaped a moment after its connections break.
        self.server.reap(0.3)
        return self.server.failure(error) if not self.server.alive else broken(error, self.label)


def _turns_to_drop(messages: list[Message], first: int, share: float) -> int:
    """Return where the kept turns start, so that about `share` of the text is gone; one turn at least goes.

    A turn goes with the calls, results and answers it got; the last question, and what follows it, stays.
    """
    surplus = share * sum(len(message["content"]) for message in messages)
    questions = [place for place, message in enumerate(messages) if message["role"] == "user" and place > first]
    last = questions[-1] if questions else len(messages) - 1
    gone = 0
    for index in range(first, last):
        if index > first and messages[index]["role"] == "user" and gone >= 0.8 * surplus:
            return index
        gone += len(messages[index]["content"])
    return last


def _has_earlier_turn(messages: list[Message], first: int) -> bool:
    """Whether something stands before the last question."""
    questions = [place for place, message in enumerate(messages) if message["role"] == "user"]
    return (questions[-1] if questions else len(messages) - 1) > first
