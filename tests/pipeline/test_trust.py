"""A lab from somebody else: no word and no key goes where its files say before a person has agreed."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import stat
import threading
from collections.abc import Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

import benlab_tui
import pipeline
from benlab_tui.errors import Declined
from benlab_tui.headless import run_command
from benlab_tui.headless_context import HeadlessContext
from benlab_tui.options import Options
from benlab_tui.trusting import with_trust
from pipeline import trust
from pipeline.chat import open_engine
from pipeline.chat.http import is_loopback, keep_key_private
from pipeline.chat.openai import OpenAIEngine
from pipeline.errors import ChatError, InstallError, Untrusted
from pipeline.install.registry import Registry, Version
from pipeline.install.versions import remove, use
from pipeline.lab import Lab
from pipeline.trust import Request, TrustStore

REMOTE = "https://evil.example/v1"
VERSION = Version("ben-lab:r1", "models/ben-lab/r1/adapter.gguf", "smollm2", "0" * 64, "2026", "r1")


class Recorder(BaseHTTPRequestHandler):
    """Notes every request, and answers with a redirect where it is told to."""

    seen: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []
    to = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        type(self).seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(307 if self.to else 404)
        if self.to:
            self.send_header("Location", self.to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_DELETE = do_POST

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def recorder() -> Iterator[tuple[str, type[Recorder]]]:
    handler = type("Own", (Recorder,), {"seen": [], "to": ""})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _own_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("OPENAI_API_KEY", "OLLAMA_API_KEY", "LAB_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def configure(lab: Lab, **chat: str) -> None:
    lab.config_path.write_text("[chat]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in chat.items()))


@pytest.mark.parametrize(
    "name",
    [
        "HOME", "PATH", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "GITHUB_TOKEN_FILE", "SSH_AUTH_SOCK",
        "PGPASSWORD",        "X_API_KEYS", "x_api_key", "A B_TOKEN", "X_TOKEN\n",
        "TOKEN", "=_TOKEN", "X_API_KEY ", "A" * 200 + "_TOKEN",
    ],
)  # fmt: skip
async def test_only_variables_of_keys_can_be_named(lab: Lab, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "=" not in name:
        monkeypatch.setenv(name, "a secret")
    configure(lab, url="http://127.0.0.1:9/v1", key_env=name)
    with pytest.raises(ChatError, match="_API_KEY or _TOKEN") as error:
        await open_engine(lab, "url:m")
    assert "a secret" not in str(error.value)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "localhost.evil.com", "127.0.0.1.evil.com", "127.0.0.1@evil.com", "localhost:80@evil.com",
        "localhost.", "127.1", "2130706433", "0x7f.1", "[::ffff:1.2.3.4]", "[::2]", "169.254.169.254", "10.0.0.1",
        "user:word@127.0.0.2.evil.com", "ⓛocalhost.evil.com", "localhost%00.evil.com", "127.0.0.1#@evil.com",
        "evil.com#@127.0.0.1",        "evil.com\\@127.0.0.1",
    ],
)  # fmt: skip
async def test_keys_travel_over_https_or_loopback_alone(lab: Lab, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a host looks like: either it really is this machine, or nothing goes there in the clear."""
    monkeypatch.setenv("LAB_API_KEY", "a-secret-key")
    configure(lab, url=f"http://{host}/v1", key_env="LAB_API_KEY")
    try:
        request = trust.of_config(lab)
    except ChatError as error:  # no address at all
        assert "a-secret-key" not in str(error)
        return
    assert request is not None and "$LAB_API_KEY" in request.names
    with pytest.raises(Untrusted, match="LAB_API_KEY") as refused:
        await open_engine(lab, "url:m")
    assert "word" not in str(refused.value).split("lab --lab")[0].replace("words", "")
    TrustStore().record(request, True)
    if not is_loopback(f"http://{host}/v1"):
        with pytest.raises(ChatError, match="unencrypted"):
            await open_engine(lab, "url:m")


async def test_a_remote_server_is_asked_about_and_then_used(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_API_KEY", "k")
    configure(lab, url=REMOTE, key_env="LAB_API_KEY")
    with pytest.raises(Untrusted, match=r"https://evil\.example:443 and \$LAB_API_KEY.*benlab trust"):
        await open_engine(lab, "url:m")
    asked: list[str] = []

    async def ask(question: str) -> bool:
        asked.append(question)
        return True

    for _ in range(2):
        engine = await with_trust(lab, ask, lambda: open_engine(lab, "url:m"))
        assert engine.is_remote
        await engine.aclose()
    assert len(asked) == 1 and "https://evil.example:443" in asked[0] and "$LAB_API_KEY" in asked[0]


async def test_another_content_or_place_is_another_question(lab: Lab, tmp_path: Path) -> None:
    configure(lab, url=REMOTE)
    request = trust.of_config(lab)
    assert request
    store = TrustStore()
    store.record(request, True)
    assert store.answer(request) is True and stat.S_IMODE(store.file.stat().st_mode) == 0o600
    configure(lab, url=REMOTE, model="x")
    assert store.answer(trust.of_config(lab)) is None
    other = Lab.at(tmp_path / "other")
    configure(other, url=REMOTE)
    assert store.answer(trust.of_config(other)) is None
    assert store.answer(Request(request.path, request.digest, (*request.names, "plug-in x"))) is None
    assert store.answer(Request(request.path, request.digest, request.names[:1])) is True


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 3}', "[" * 100_000, '{"PATH": {"trusted": true}}', "\0"])
def test_a_broken_file_of_answers_answers_nothing(lab: Lab, content: str) -> None:
    configure(lab, url=REMOTE)
    request = trust.of_config(lab)
    assert request
    store = TrustStore()
    store.file.parent.mkdir(parents=True)
    store.file.write_text(content.replace("PATH", str(request.path)))
    assert store.answer(request) is None
    store.record(request, False)
    assert store.answer(request) is False


async def test_after_a_no_the_lab_goes_on_without_the_host(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.chat.open import contact_url

    configure(lab, url=REMOTE, ollama_host="ollama.evil.example")
    request = trust.of_config(lab)
    assert request and len(request.names) == 3
    with pytest.raises(Untrusted):
        contact_url(lab)
    TrustStore().record(request, False)
    assert contact_url(lab) == "http://127.0.0.1:9"
    with pytest.raises(ChatError, match="said no"):
        await open_engine(lab, "url:m")
    TrustStore().record(request, True)
    assert contact_url(lab) == "http://ollama.evil.example:11434"


def test_nothing_is_contacted_before_an_answer(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by doctor, models, install, pull nor ask; and without a terminal each says what to do."""
    configure(lab, ollama_host="http://ollama.evil.example:1", url=REMOTE)
    contacted: list[str] = []

    def note(*arguments: object, **_: object) -> None:
        contacted.append(str(arguments))
        raise OSError("no network in this test")

    monkeypatch.setattr("socket.getaddrinfo", note)
    for words in (["ask", "hello"], ["ask", "hello", "--model", "url:m"]):
        assert run_command(Options(words=words, lab=str(lab.root), yes=True)) == 1
    assert run_command(Options(words=["doctor"], lab=str(lab.root))) == 0
    assert contacted == []
    from benlab_tui.screens.models import ollama_models
    from pipeline.install.ollama_pull import pull_through
    from pipeline.install.params import InstallParams
    from pipeline.install.stage import _ollama_server

    targets = [_ollama_server(lab, InstallParams(target=target)) for target in ("auto", "ollama")]
    for start in (pull_through(lab, "x"), *targets):
        with pytest.raises(Untrusted):
            list(start)
    assert ollama_models(lab) == [] and contacted == []


def test_the_command_records_the_answer(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    configure(lab, url=REMOTE, key_env="LAB_API_KEY")
    lab_option = str(lab.root)

    def said(*words: str, **options: bool) -> str:
        assert run_command(Options(words=["trust", *words], lab=lab_option, **options)) == (
            0 if words or options else 1
        )
        return capsys.readouterr().out

    said()  # without a terminal and without an answer
    assert "not answered" in said("show")
    assert said("no").startswith("no") and said("show").startswith("no")
    assert said(yes=True).startswith("yes") and said("show").startswith("yes")
    assert "https://evil.example:443, $LAB_API_KEY" in said("show")
    assert "not answered" in said("forget")


def test_a_general_yes_is_no_answer(lab: Lab) -> None:
    """`--yes` in a script answers what the command asks, not whether a stranger's folder is trusted."""
    configure(lab, url=REMOTE)
    assert run_command(Options(words=["ask", "hi", "--model", "url:m"], lab=str(lab.root), yes=True)) == 1
    assert TrustStore().answer(trust.of_config(lab)) is None
    with pytest.raises(Declined):
        asyncio.run(HeadlessContext(lab, as_json=True, yes=False).confirm("?"))


def test_hosts_of_a_foreign_registry_are_asked_about(lab: Lab, recorder: tuple[str, type[Recorder]]) -> None:
    registry = Registry(lab)
    (registry.folder / "r1").mkdir(parents=True)
    (registry.folder / "r1" / "adapter.gguf").write_bytes(b"")
    other = {**asdict(VERSION), "version": "ben-lab:r2", "run": "r2"}
    for number, host in enumerate(("http://evil.example:11434", "http://127.0.0.1@evil.example", "http://10.0.0.1")):
        rows = [{**asdict(VERSION), "ollama": {"host": host}}, {**other, "ollama": {"host": host}}]
        registry.path.write_text(json.dumps({"current": "ben-lab:r2", "versions": rows}))
        for act in (use, remove):
            with pytest.raises(Untrusted, match=re.escape(str(registry.path))):
                act(lab, "ben-lab:r1")
        request = trust.of_registries(lab)[0]
        assert len(request.names) == 1 and "127.0.0.1@" not in request.names[0]
        TrustStore().record(request, False)
        with pytest.raises(InstallError, match="said no"):
            use(lab, "ben-lab:r1")
        assert len(Registry(lab).versions()) == 2, number


def test_an_own_install_on_another_machine_is_agreed_to(lab: Lab) -> None:
    """A person who names a server is not asked about it again; a foreign host beside it still is."""
    registry = Registry(lab)
    (registry.folder / "r1").mkdir(parents=True)
    (registry.folder / "r1" / "adapter.gguf").write_bytes(b"")
    former = trust.remote_hosts(registry)
    from dataclasses import replace

    registry.add(replace(VERSION, servers=[{"host": "https://mine.example"}]))
    trust.agree_to_hosts(registry, former)
    assert trust.may_contact(lab, registry, "https://mine.example")
    foreign = replace(VERSION, version="ben-lab:r3", run="r3", servers=[{"host": "https://evil.example"}])
    registry.add(foreign)
    former = trust.remote_hosts(registry)
    registry.add(replace(VERSION, version="ben-lab:r4", run="r4", servers=[{"host": "https://new.example"}]))
    trust.agree_to_hosts(registry, former)
    with pytest.raises(Untrusted):
        trust.may_contact(lab, registry, "https://evil.example")


async def test_a_redirect_takes_neither_words_nor_keys_along(
    lab: Lab, recorder: tuple[str, type[Recorder]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.chat.ollama import OllamaEngine
    from pipeline.install.ollama_server import OllamaServer

    monkeypatch.setenv("OLLAMA_API_KEY", "a-secret-key")
    url, there = recorder
    handler = type("Redirect", (Recorder,), {"seen": [], "to": f"{url}/caught"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://localhost:{server.server_address[1]}"
    message = {"role": "user", "content": "private words"}
    for engine in (OllamaEngine(here, "m"), OpenAIEngine(f"{here}/v1", "m", key="a-secret-key")):
        with pytest.raises(ChatError):
            _ = [event async for event in engine.chat([message])]
        await engine.aclose()
    install = OllamaServer(here)
    for act in (lambda: install.names(), lambda: list(install.create("m")), lambda: install.has_blob("0" * 64)):
        with pytest.raises(InstallError):
            act()
    install.close()
    server.shutdown()
    server.server_close()
    assert len(handler.seen) >= 4 and there.seen == []


def test_ollamas_own_key_leaves_in_the_clear_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    from ollama import Client

    monkeypatch.setenv("OLLAMA_API_KEY", "a-secret-key")
    for url, kept in (("http://evil.example:1", False), ("https://ollama.com", True), ("http://127.0.0.1:1", True)):
        client = Client(url)
        keep_key_private(client, url)
        assert ("authorization" in client._client.headers) is kept


def test_every_contact_goes_past_the_question() -> None:
    """`ollama_url` reads a lab's word for a host; whoever contacts it asks `contact_url`."""
    for package in (pipeline, benlab_tui):
        for file in Path(package.__path__[0]).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            names = {ast.unparse(call.func).rpartition(".")[2] for call in calls}
            assert "ollama_url" not in names or file.name == "open.py", file
            named = [call for call in calls if ast.unparse(call).endswith(", 'ollama_host')")]
            assert not named or file.name == "open.py", file


async def test_names_are_shown_as_what_they_are(lab: Lab) -> None:
    configure(lab, url="https://me:pässword@xn--e1afmkfd.example:8443/v1?token=abc")
    request = trust.of_config(lab)
    assert request and request.names[0] == "https://xn--e1afmkfd.example:8443"
    configure(lab, url="https://аpple.example")  # a Cyrillic letter
    request = trust.of_config(lab)
    assert request and request.names[0].startswith("https://xn--")
    assert httpx.URL(request.names[0]).host
