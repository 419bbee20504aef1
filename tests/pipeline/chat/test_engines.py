"""One chat client for three kinds of servers: streaming, cancelling, tool calls, timings, and errors in words."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from pipeline import ask
from pipeline.bases import Base
from pipeline.chat import (
    ChatOptions,
    Delta,
    Done,
    EmbeddedEngine,
    EmbeddedServer,
    OllamaEngine,
    OpenAIEngine,
    ToolCall,
    open_engine,
)
from pipeline.chat.http import address, is_loopback
from pipeline.chat.open import ollama_url
from pipeline.chat.tool_text import tools_text
from pipeline.errors import BadInput, ChatError
from pipeline.install.registry import Registry, Version
from pipeline.lab import Lab

HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]
GREEDY = ChatOptions(temperature=0.0, max_tokens=8)
TOOLS = [{"type": "function", "function": {"name": "tri", "description": "d", "parameters": {"properties": {}}}}]


async def collect(engine: Any, messages: list[Any] = HELLO, **options: Any) -> tuple[str, list[ToolCall], Done]:
    """The text, the calls and the end of one answer."""
    async with aclosing(engine.chat(messages, **options)) as events:
        got = [event async for event in events]
    assert isinstance(got[-1], Done)
    text = "".join(event.text for event in got if isinstance(event, Delta))
    return text, [event for event in got if isinstance(event, ToolCall)], got[-1]


@pytest.fixture
def embedded(server: EmbeddedServer) -> EmbeddedEngine:
    return EmbeddedEngine(server, "ben-lab", adapter=0, owns_server=False, defaults=GREEDY)


async def test_embedded_streams_with_timings(embedded: EmbeddedEngine) -> None:
    text, calls, done = await collect(embedded)
    assert text.strip() and not calls and not embedded.is_remote
    assert done.reason in ("stop", "length") and done.completion_tokens > 0 and done.prompt_tokens > 5
    assert done.tokens_per_second > 0 and 0 < done.first_token_seconds < 60 and done.context_length == 512


async def test_base_and_tuned_answer_side_by_side_from_one_server(server: EmbeddedServer) -> None:
    base = EmbeddedEngine(server, "base", adapter=False, owns_server=False, defaults=GREEDY)
    tuned = EmbeddedEngine(server, "ben-lab", adapter=0, owns_server=False, defaults=GREEDY)
    plain, other = (await collect(base))[0], (await collect(tuned))[0]
    assert plain != other
    off = ChatOptions(adapter_scale=0.0)
    assert (await collect(tuned, options=off))[0] == plain


def test_tools_are_described_to_all_but_a_model_trained_with_the_line_that_names_them(server: EmbeddedServer) -> None:
    base = EmbeddedEngine(server, "base", adapter=False, owns_server=False)
    older = EmbeddedEngine(server, "ben-lab", adapter=0, owns_server=False)
    tuned = EmbeddedEngine(server, "ben-lab", adapter=0, owns_server=False, learned_tools=True)
    assert "TOOL:" in base._render(HELLO, TOOLS)
    assert older._render(HELLO, TOOLS) == base._render(HELLO, TOOLS)
    named = [{"role": "system", "content": tools_text(TOOLS)}, *HELLO]
    assert tuned._render(HELLO, TOOLS) == base._render(named, None)
    assert tuned._render(HELLO, None) == older._render(HELLO, None) == base._render(HELLO, None)


async def test_closing_the_answer_stops_the_generation(embedded: EmbeddedEngine, server: EmbeddedServer) -> None:
    async with aclosing(embedded.chat(HELLO, options=ChatOptions(max_tokens=400))) as events:
        async for _ in events:
            break
    child = psutil.Process(server._process.pid) if server._process else None
    assert child
    for _ in range(50):
        busy = child.cpu_percent(0.1)
        if busy < 20:
            break
    assert busy < 20


async def test_the_oldest_turns_are_left_out_and_counted(embedded: EmbeddedEngine) -> None:
    turn = [{"role": "user", "content": "word " * 90}, {"role": "assistant", "content": "ok " * 30}]
    _, _, done = await collect(embedded, [{"role": "system", "content": "Be kind."}, *turn * 6, *HELLO])
    assert done.dropped_messages >= 4 and done.dropped_messages % 2 == 0
    assert done.prompt_tokens + 64 <= 512


async def test_a_long_session_is_cut_in_a_few_steps(embedded: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    tokenize = embedded._tokenize

    async def counted(client: Any, prompt: str) -> list[int]:
        asked.append(len(prompt))
        return await tokenize(client, prompt)

    monkeypatch.setattr(embedded, "_tokenize", counted)
    turn = [{"role": "user", "content": "What now?"}, {"role": "assistant", "content": "Go on with it. " * 5}]
    _, _, done = await collect(embedded, [*turn * 1000, *HELLO])
    assert len(asked) < 10 and done.dropped_messages > 1900 and done.prompt_tokens > 250


async def test_a_message_that_never_fits_is_refused_with_both_numbers(embedded: EmbeddedEngine) -> None:
    with pytest.raises(ChatError, match=r"has \d+ tokens and this model reads 448: shorten it"):
        await collect(embedded, [{"role": "user", "content": "word " * 3000}])


async def test_a_child_that_died_is_named_and_starts_anew(base: Base) -> None:
    server = EmbeddedServer(base, parallel=1, context=256)
    engine = EmbeddedEngine(server, "base", defaults=GREEDY)
    try:
        before = (await collect(engine))[0]
        with pytest.raises(ChatError, match="has stopped"):
            async with aclosing(engine.chat(HELLO, options=ChatOptions(max_tokens=150))) as events:
                async for _ in events:
                    if server._process:
                        psutil.Process(server._process.pid).kill()
        assert (await collect(engine))[0] == before
    finally:
        await engine.aclose()
    assert not server.alive


async def test_any_openai_compatible_server_answers(server: EmbeddedServer) -> None:
    engine = OpenAIEngine(f"{server.base_url}/v1", "anything", key=server.key, system="Be brief.")
    text, _, done = await collect(engine, options=GREEDY)
    assert text.strip() and done.completion_tokens > 0 and done.prompt_tokens > 0 and not engine.is_remote
    await engine.aclose()
    wrong = OpenAIEngine(f"{server.base_url}/v1", "anything", key="no")
    with pytest.raises(ChatError, match="refused this message \\(401\\)"):
        await collect(wrong)
    await wrong.aclose()


def _sse(*parts: dict[str, Any] | str) -> bytes:
    return b"".join(
        b"data: " + (part if isinstance(part, str) else json.dumps(part)).encode() + b"\n\n" for part in parts
    )


def _piece(**delta: Any) -> dict[str, Any]:
    return {"choices": [{"delta": delta, "finish_reason": None}]}


async def test_openai_tool_calls_are_put_together() -> None:
    engine = OpenAIEngine("http://127.0.0.1:1/v1", "m")
    call = {"index": 0, "id": "c1", "function": {"name": "tri", "arguments": '{"se'}}
    more = {"index": 0, "function": {"arguments": 'ed": 3}'}}
    end = {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}
    stream = _sse(_piece(tool_calls=[call]), _piece(tool_calls=[more]), end, "[DONE]")
    engine._client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=stream)))
    _, calls, done = await collect(engine, tools=TOOLS)
    assert calls == [ToolCall("c1", "tri", {"seed": 3})] and done.reason == "tool_calls"


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (httpx.Response(200, content=b"data: {nonsense\n\n"), "not JSON"),
        (httpx.Response(200, content=_sse({"error": {"message": "out of memory"}})), "out of memory"),
        (httpx.Response(200, content=_sse(_piece(content="x"))), "without saying why"),
        (httpx.Response(502, content=b"<html>proxy</html>"), "a web page instead of JSON"),
    ],
)
async def test_broken_openai_answers_are_sentences(response: httpx.Response, words: str) -> None:
    engine = OpenAIEngine("http://127.0.0.1:1/v1", "m")
    engine._client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: response))
    with pytest.raises(ChatError, match=words):
        await collect(engine)


async def test_ollama_streams_with_timings(ollama: Callable[..., Any]) -> None:
    server = ollama()
    engine = OllamaEngine(server.url, "ben-lab", version="0.33.0", system="Be kind.", defaults=GREEDY)
    text, _, done = await collect(engine)
    assert text == "Hello" and done.reason == "stop" and done.tokens_per_second == 2.0 and done.prompt_tokens == 9
    sent = server.asked[0]["options"]
    assert sent["repeat_penalty"] == 1.0 and sent["min_p"] == 0.0 and sent["seed"] == done.seed
    assert server.asked[0]["messages"][0] == {"role": "system", "content": "Be kind."}
    assert server.asked[0]["options"]["num_predict"] == 8 and engine.label == "ollama 0.33.0 · ben-lab"
    await engine.aclose()


async def test_ollama_tools_native_and_in_words(ollama: Callable[..., Any]) -> None:
    server = ollama()
    engine = OllamaEngine(server.url, "llama3.2:1b")
    template = "{{ .Tools }}{{ if .ToolCalls }}TOOL: {{ .ToolCalls }}{{ end }}"
    server.add_model("llama3.2:1b", "0" * 64, template=template)
    server.words = ["TOOL: ", '{"name": "tri", "arguments": {"seed": 3}}']
    assert (await collect(engine, tools=TOOLS))[1][0].arguments == {"seed": 3}
    server.words = ["TOOL: ", '{"name": "tri", "args": {"seed": 4}}']
    assert (await collect(engine, tools=TOOLS))[:2] == ("", [])  # the server's own parser swallows the older form
    server.add_model("llama3.2:1b", "0" * 64)
    _, calls, done = await collect(engine, tools=TOOLS)
    assert calls[0].arguments == {"seed": 4} and done.reason == "tool_calls"
    assert "TOOL:" in server.asked[-1]["messages"][0]["content"]
    tuned = OllamaEngine(server.url, "ben-lab", system="S", learned_tools=True)
    assert (await collect(tuned, tools=TOOLS))[1][0].name == "tri"
    assert server.asked[-1]["messages"][0]["content"] == f"S\n\n{tools_text(TOOLS)}"
    await engine.aclose()
    await tuned.aclose()


async def test_calls_of_ollama_have_ids_of_their_own_in_a_turn_and_across_turns(ollama: Callable[..., Any]) -> None:
    """Each comes in a line of its own; one is later replaced by its id."""
    server = ollama()
    engine = OllamaEngine(server.url, "llama3.2:1b")
    template = "{{ .Tools }}{{ if .ToolCalls }}TOOL: {{ .ToolCalls }}{{ end }}"
    server.add_model("llama3.2:1b", "0" * 64, template=template)
    call = json.dumps({"name": "tri", "arguments": {"seed": 3}})
    server.words = [f"TOOL: {call}\n", f"TOOL: {call}"]
    calls = [one for _ in range(2) for one in (await collect(engine, tools=TOOLS))[1]]
    assert len(calls) == 4 and len({one.id for one in calls}) == 4
    await engine.aclose()


@pytest.mark.parametrize(
    ("step", "how", "words"),
    [
        ("stream", "half", "closed the connection|not Ollama's"),
        ("stream", "error line", "could not run ben-lab"),
        ("chat", "500", "something broke inside"),
        ("chat", "reset", "closed the connection"),
        ("chat", "html 200", "not Ollama's"),
        ("chat", "html", "a web page instead of JSON"),
    ],
)
async def test_ollama_failures_are_sentences_and_the_next_message_works(
    step: str, how: str, words: str, ollama: Callable[..., Any]
) -> None:
    server = ollama()
    engine = OllamaEngine(server.url, "ben-lab")
    server.failures[step] = how
    with pytest.raises(ChatError, match=words):
        await collect(engine)
    server.failures.clear()
    assert (await collect(engine))[0] == "Hello"
    await engine.aclose()


async def test_a_run_of_equal_tokens_ends_as_repetition(ollama: Callable[..., Any]) -> None:
    server = ollama()
    server.failures["stream"] = "no end"
    engine = OllamaEngine(server.url, "ben-lab")
    assert (await collect(engine))[2].reason == "repetition"
    gone = OllamaEngine(server.url, "nobody")
    with pytest.raises(ChatError, match="has no model nobody"):
        await collect(gone)
    await engine.aclose()
    await gone.aclose()


async def test_ollama_answers_where_it_lists_the_model_in_use(
    ollama: Callable[..., Any], lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ollama()
    engine = await open_engine(lab, "ben-lab", ollama_host=server.url)
    assert isinstance(engine, OllamaEngine) and engine.label == "ollama 0.33.0 · ben-lab" and not engine.is_remote
    await engine.aclose()
    Registry(lab).add(Version("ben-lab:r2", "models/ben-lab/r2/adapter.gguf", "smollm2", "x", "now", "r2"))
    engine = await open_engine(lab, "ben-lab", ollama_host=server.url)
    assert isinstance(engine, OllamaEngine) and engine.model == "ben-lab"
    await engine.aclose()
    with pytest.raises(ChatError, match="smollm2 is not here"):  # not listed there, so the embedded engine's turn
        await open_engine(lab, "ben-lab:r2", ollama_host=server.url)
    server.add_model("ben-lab:r2", "0" * 64)
    Registry(lab).update("ben-lab:r2", servers=[{"host": server.url}])
    engine = await open_engine(lab, "ben-lab", ollama_host=server.url)
    assert engine.model == "ben-lab:r2"
    await engine.aclose()
    Registry(lab).add(Version("ben-lab:r3", "models/ben-lab/r3/adapter.gguf", "smollm2", "x", "now", "r3"))
    with pytest.raises(ChatError, match="smollm2 is not here"):  # the server's ben-lab is another version
        await open_engine(lab, "ben-lab", ollama_host=server.url)


async def test_a_server_that_is_not_ollama_is_passed_over(ollama: Callable[..., Any], lab: Lab) -> None:
    server = ollama()
    for how in ("html", "html 200", "reset", "500"):
        server.failures["tags"] = how
        with pytest.raises(ChatError, match="not installed yet"):
            await open_engine(lab, "ben-lab", ollama_host=server.url)


@pytest.mark.parametrize(
    ("model", "words"),
    [("ben-lab", "run `benlab loop`"), ("nothing", "no engine here has"), ("base", "pull smollm2"), ("url:x", "chat")],
)
async def test_a_missing_model_is_a_sentence(model: str, words: str, lab: Lab) -> None:
    with pytest.raises((ChatError, BadInput), match=words):
        await open_engine(lab, model)


def test_ask_answers_in_process_even_inside_an_event_loop(lab_with_base: Lab) -> None:
    lab_with_base.modelfile.write_text("FROM x\nPARAMETER temperature 0\nPARAMETER num_predict 6\nSYSTEM Be brief.\n")
    answer = ask("Say hello.", model="base", lab=lab_with_base)
    assert answer.strip()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("localhost", "http://localhost:11434"),
        ("0.0.0.0:11434", "http://127.0.0.1:11434"),
        ("https://x.example/", "https://x.example"),
        ("[::1]:5", "http://[::1]:5"),
    ],
)
def test_addresses(host: str, url: str) -> None:
    assert address(host) == url


def test_what_is_not_on_this_machine_is_remote(lab: Lab) -> None:
    assert is_loopback("http://localhost:1") and is_loopback("http://127.8.8.8:1") and is_loopback("http://[::1]:1")
    assert not is_loopback("http://example.com") and not is_loopback("http://localhost.example.com")
    assert OllamaEngine("http://example.com:11434", "m").is_remote
    assert "example.com" in OllamaEngine("http://example.com:11434", "m").label
    for bad in ("http://", "ftp://x", "http://[", "x:y:z", "a b"):
        with pytest.raises(ChatError, match="no server address"):
            address(bad)
    lab.config_path.write_text('[chat]\nollama_host = "one:1"\n')
    assert ollama_url(lab) == "http://one:1" and ollama_url(lab, "two:2") == "http://two:2"


@pytest.mark.parametrize("text", ["chat = 3\n", "[chat]\nollama_host = 5\n", "[chat]\nollama_host = ''\n"])
def test_settings_of_another_kind_are_passed_over(text: str, lab: Lab) -> None:
    lab.config_path.write_text(text)
    assert ollama_url(lab) == "http://127.0.0.1:9"


def test_importing_chat_loads_nothing_heavy(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys, pipeline.chat; print(sorted({'httpx','numpy','torch','ollama','xllamacpp'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


async def test_a_server_that_never_stops_answering_is_passed_over(lab: Lab) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b" " * 65_536)
                await writer.drain()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ChatError, match="not installed yet"):
        await open_engine(lab, "ben-lab", ollama_host=f"127.0.0.1:{port}")
    server.close()


def test_a_port_out_of_range_is_one_sentence() -> None:
    with pytest.raises(ChatError, match="65535"):
        address("127.0.0.1:99999")
