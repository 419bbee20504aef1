"""The chat engine over any server that speaks OpenAI's /v1/chat/completions."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.chat.decoding import DEFAULTS, SAMPLING, wire, with_seed
from pipeline.chat.events import ChatEvent, ChatOptions, Done, Message, ToolCall, count
from pipeline.chat.http import READ_SECONDS, address, broken, error_text, is_loopback, sse, tls_for
from pipeline.chat.loops import REPETITION, LoopGuard
from pipeline.chat.tools import ToolReader
from pipeline.errors import ChatError

_BEYOND_OPENAI = set(SAMPLING) - {"temperature", "top_p", "presence_penalty", "frequency_penalty"}
"""What OpenAI's own API refuses and most compatible servers take."""


@dataclass
class _Answer:
    """What has come of one answer so far."""

    started: float = field(default_factory=time.perf_counter)
    first: float = 0.0
    reason: str = ""
    usage: dict[str, Any] = field(default_factory=dict)
    calls: dict[int, dict[str, str]] = field(default_factory=dict)
    guard: LoopGuard = field(default_factory=LoopGuard)

    def take(self, part: dict[str, Any]) -> str:
        """Notes a chunk; returns its text."""
        usage = part.get("usage")
        self.usage = usage if isinstance(usage, dict) else self.usage
        choice = (part.get("choices") or [{}])[0]
        self.reason = choice.get("finish_reason") or self.reason
        delta = choice.get("delta") or {}
        for piece in delta.get("tool_calls") or ():
            self._take_call(piece)
        text = str(delta.get("content") or "")
        if text and not self.first:
            self.first = time.perf_counter() - self.started
        return self.guard.feed(text)

    def tool_calls(self) -> list[ToolCall]:
        """The whole calls. Raises ChatError where the arguments are no JSON object."""
        return [_tool_call(call) for _, call in sorted(self.calls.items())]

    def done(self) -> Done:
        """The end event."""
        made = count(self.usage.get("completion_tokens"))
        seconds = time.perf_counter() - self.started - self.first
        speed = made / seconds if made and seconds > 0 else 0.0
        return Done(self.reason, count(self.usage.get("prompt_tokens")), made, speed, self.first)

    def _take_call(self, piece: dict[str, Any]) -> None:
        call = self.calls.setdefault(int(piece.get("index") or 0), {"id": "", "name": "", "arguments": ""})
        function = piece.get("function") or {}
        call["id"] = piece.get("id") or call["id"]
        call["name"] += function.get("name") or ""
        call["arguments"] += function.get("arguments") or ""


class OpenAIEngine:
    """Chats with `model` at `url` (up to and with /v1). The key goes to that server alone."""

    def __init__(
        self, url: str, model: str, *, key: str = "", defaults: ChatOptions | None = None, system: str = ""
    ) -> None:
        import httpx

        self.url = address(url, 80)
        self.model = model
        self.is_remote = not is_loopback(self.url)
        self.label = f"{httpx.URL(self.url).copy_with(userinfo=b'').netloc.decode()} · {model}"
        self.context_length = 0
        self._knows_all = True
        self.system = system
        self.defaults = defaults or DEFAULTS
        if key and self.is_remote and not self.url.startswith("https:"):
            raise ChatError(
                f"{self.label} would get the key unencrypted: write its address with https://, or unset the key's "
                "variable"
            )
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(READ_SECONDS, connect=5.0)
        self._client = httpx.AsyncClient(
            headers=headers, timeout=timeout, trust_env=self.is_remote, verify=tls_for(self.url), follow_redirects=False
        )

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        options: ChatOptions | None = None,
    ) -> AsyncGenerator[ChatEvent, None]:
        """Streams the answer; closing the iterator stops the generation. Raises ChatError."""
        import httpx

        chosen = with_seed((options or ChatOptions()).over(self.defaults).over(DEFAULTS))
        answer, reader = _Answer(), ToolReader(offered=bool(tools))
        try:
            async with aclosing(self._parts(self._body(messages, tools, chosen))) as parts:
                async for part in parts:
                    for event in reader.feed(answer.take(part)):
                        yield event
                    if answer.guard.looped:
                        answer.reason = REPETITION
                        break
        except httpx.HTTPError as error:
            raise broken(error, self.label) from error
        except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise ChatError(f"{self.label} sent something that is not a chat answer: check its address") from error
        if not answer.reason:
            raise ChatError(f"{self.label} ended the answer without saying why: ask again")
        for event in (*reader.feed(answer.guard.end()), *reader.end()):
            yield event
        for call in answer.tool_calls():
            yield call
        yield replace(answer.done(), seed=chosen.seed)

    async def aclose(self) -> None:
        """Closes the connection."""
        await self._client.aclose()

    async def _parts(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The answer's chunks. A server that refuses options beyond OpenAI's is asked again without them."""
        for whole in dict.fromkeys((self._knows_all, False)):
            sent = body if whole else {name: value for name, value in body.items() if name not in _BEYOND_OPENAI}
            async with self._client.stream("POST", f"{self.url}/chat/completions", json=sent) as response:
                if response.status_code == 200:
                    async for part in sse(response):
                        yield part
                    return
                text = error_text((await response.aread()).decode(errors="replace"))
                refused = any(name in text for name in _BEYOND_OPENAI)
                if not (whole and refused and response.status_code in (400, 422)):
                    raise ChatError(f"{self.label} refused this message ({response.status_code}): {text}")
                self._knows_all = False

    def _body(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] | None, options: ChatOptions
    ) -> dict[str, Any]:
        has_system = any(message["role"] == "system" for message in messages)
        first: list[Message] = [] if has_system or not self.system else [{"role": "system", "content": self.system}]
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [_message(message) for message in [*first, *messages]],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        body |= {**wire(options), "max_tokens": options.max_tokens}
        if options.stop:
            body["stop"] = list(options.stop)
        if tools:
            body["tools"] = list(tools)
        return body


def _message(message: Message) -> dict[str, Any]:
    """The message as OpenAI writes it: a call's arguments are a JSON text."""
    wire: dict[str, Any] = {key: value for key, value in message.items() if key not in ("tool_calls", "tool_name")}
    if calls := message.get("tool_calls"):
        wire["tool_calls"] = [
            {
                "id": call.get("id", "call-0"),
                "type": "function",
                "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])},
            }
            for call in calls
        ]
    return wire


def _tool_call(call: dict[str, str]) -> ToolCall:
    try:
        arguments = json.loads(call["arguments"] or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise ChatError(f"the call of {call['name'] or 'a tool'} has arguments that are no JSON object: ask again")
    return ToolCall(call["id"] or f"call-{call['name']}", call["name"], arguments)
