"""The chat engine over an Ollama server, by its official client."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from pipeline.chat.decoding import DEFAULTS, wire, with_seed
from pipeline.chat.events import ChatEvent, ChatOptions, Delta, Done, Message, ToolCall, count
from pipeline.chat.http import READ_SECONDS, address, broken, error_text, is_loopback, keep_key_private, tls_for
from pipeline.chat.loops import REPETITION, LoopGuard
from pipeline.chat.tool_text import as_turns, tools_text, with_system_text
from pipeline.chat.tools import ToolReader, describe, new_id
from pipeline.errors import ChatError

_ASK_SECONDS = 5.0


class OllamaEngine:
    """Chats with `model` at `host`.

    `learned_tools`: the model was trained with the line that names the tools; others get them described in words, or
    natively if their template has tools. `own_template`: its template renders results as training does.
    """

    def __init__(
        self,
        host: str,
        model: str,
        *,
        version: str = "",
        defaults: ChatOptions | None = None,
        system: str = "",
        learned_tools: bool = False,
        own_template: bool = False,
    ) -> None:
        self.url = address(host)
        self.model = model
        self.is_remote = not is_loopback(self.url)
        where = f" at {self.url.partition('://')[2]}" if self.is_remote else ""
        self.label = f"ollama {version}{where} · {model}".replace("ollama  ", "ollama ")
        self.context_length = 0
        self.system = system
        self.defaults = defaults or DEFAULTS
        self._learned_tools = learned_tools
        self._native_tools = not learned_tools
        self._own_template = own_template
        self._client: Any = None
        self.takes_format = True

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        options: ChatOptions | None = None,
    ) -> AsyncGenerator[ChatEvent, None]:
        """Streams the answer; closing the iterator stops the generation. Raises ChatError."""
        chosen = with_seed((options or ChatOptions()).over(self.defaults).over(DEFAULTS))
        asked = self._with_system(messages)
        if tools and self._native_tools:
            try:
                async with aclosing(self._stream(asked, tools, chosen, None)) as events:
                    async for event in events:
                        yield event
                return
            except _NoTools:
                self._native_tools = False
        reader = None if chosen.format else ToolReader(offered=bool(tools))
        plain = as_turns(asked, keep_tool_role=self._own_template)
        if tools:
            plain = with_system_text(plain, tools_text(tools) if self._learned_tools else describe(tools))
        async with aclosing(self._stream(plain, None, chosen, reader)) as events:
            async for event in events:
                yield event

    async def aclose(self) -> None:
        """Closes the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]] | None,
        options: ChatOptions,
        reader: ToolReader | None,
    ) -> AsyncGenerator[ChatEvent, None]:
        import httpx
        from ollama import ResponseError
        from pydantic import ValidationError

        answer = _Answer(reader)
        try:
            parts = await self._connect().chat(
                self.model, messages, tools=tools, stream=True, options=ollama_options(options), format=options.format
            )
            async with aclosing(parts):
                async for part in parts:
                    for event in answer.take(part):
                        yield event
                    if answer.looped:
                        break
        except ResponseError as error:
            raise self._refusal(error) from error
        except (httpx.HTTPError, ConnectionError) as error:
            raise broken(_as_httpx(error), self.label) from error
        except (ValidationError, ValueError, AttributeError, TypeError, ArithmeticError) as error:
            raise ChatError(
                f"{self.url} answered something that is not Ollama's: check OLLAMA_HOST, or use the embedded engine"
            ) from error
        for event in answer.end():
            yield event
        yield replace(answer.done(await self._context()), seed=options.seed)

    def _refusal(self, error: Any) -> ChatError:
        """An answer with a status or an error line, as what the person can do about it."""
        reason = error_text(str(error.error))
        if "does not support tools" in reason:
            return _NoTools(reason)
        if error.status_code == 404:
            return ChatError(f"Ollama at {self.url} has no model {self.model}: install it, or `ollama pull` it")
        if "runner process has terminated" in reason:
            return ChatError(
                f"Ollama could not run {self.model} ({reason}): its adapter and base do not fit, or memory is short; "
                "install it again"
            )
        return ChatError(f"Ollama at {self.url} refused this message: {reason}")

    def _connect(self) -> Any:
        if self._client is None:
            import httpx
            from ollama import AsyncClient

            timeout = httpx.Timeout(READ_SECONDS, connect=_ASK_SECONDS)
            self._client = AsyncClient(
                self.url, timeout=timeout, trust_env=self.is_remote, verify=tls_for(self.url), follow_redirects=False
            )
            keep_key_private(self._client, self.url)
        return self._client

    def _with_system(self, messages: Sequence[Message]) -> list[Message]:
        if self.system and not any(message["role"] == "system" for message in messages):
            return [{"role": "system", "content": self.system}, *messages]
        return list(messages)

    async def _context(self) -> int:
        """The context the server runs the model with, as `/api/ps` tells; asked once, 0 where it does not say."""
        if not self.context_length:
            import httpx
            from ollama import ResponseError

            try:
                running = await self._connect().ps()
                names = {self.model, f"{self.model}:latest"}
                found = (entry for entry in running.models if entry.model in names or entry.name in names)
                self.context_length = next((entry.context_length or 0 for entry in found), 0)
            except (ResponseError, httpx.HTTPError, ConnectionError, ValueError):
                return 0
        return self.context_length


class _NoTools(ChatError):
    """The model's template knows no tools."""


class _Answer:
    """One answer's events and times. Ollama's durations are nanoseconds."""

    def __init__(self, reader: ToolReader | None) -> None:
        self._reader = reader
        self._guard = LoopGuard()
        self._started = time.perf_counter()
        self._first = 0.0
        self._last: Any = None
        self._called = False

    def take(self, part: Any) -> list[ChatEvent]:
        """The events of one line."""
        self._last = part
        events: list[ChatEvent] = []
        if content := part.message.content:
            self._first = self._first or time.perf_counter() - self._started
            events += self._shown(self._guard.feed(content))
        for call in part.message.tool_calls or ():  # a server may send each in a line of its own
            events.append(ToolCall(new_id(), call.function.name, dict(call.function.arguments or {})))
        self._called = self._called or any(isinstance(event, ToolCall) for event in events)
        return events

    def end(self) -> list[ChatEvent]:
        """What was still held back."""
        events = self._shown(self._guard.end()) + (list(self._reader.end()) if self._reader else [])
        self._called = self._called or any(isinstance(event, ToolCall) for event in events)
        return events

    @property
    def looped(self) -> bool:
        """Whether the answer repeats itself without end."""
        return self._guard.looped

    def _shown(self, text: str) -> list[ChatEvent]:
        if not text:
            return []
        return list(self._reader.feed(text)) if self._reader else [Delta(text)]

    def done(self, context: int) -> Done:
        """The end event. Without a last line Ollama has cut off more than 30 equal tokens in a row."""
        last = self._last
        if last is None:
            raise ChatError("Ollama ended the answer before its first word: ask again")
        seconds = count(last.eval_duration) / 1e9
        made = count(last.eval_count)
        reason = (last.done_reason or "stop") if last.done else REPETITION
        return Done(
            "tool_calls" if self._called else reason,
            count(last.prompt_eval_count),
            made,
            made / seconds if seconds else 0.0,
            self._first,
            context,
        )


def ollama_options(options: ChatOptions) -> dict[str, Any]:
    """Return the options of a request, with nothing left to the server's defaults."""
    stop = {"stop": list(options.stop)} if options.stop else {}
    return {**wire(options), "num_predict": options.max_tokens, **stop}


def _as_httpx(error: Exception) -> Exception:
    """The official client turns a refused connection into the built-in ConnectionError."""
    import httpx

    return error if isinstance(error, httpx.HTTPError) else httpx.ConnectError(str(error))
