"""The same tests against the contract server of three ranges of versions, and a real one at BENLAB_TEST_OLLAMA.

They see a server as a user does, over HTTP. Faults come from a proxy before it. On a real server everything has a
random name, which is removed afterwards; BENLAB_TEST_OLLAMA_MODEL names a small model that it may pull.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.bases import Base
from pipeline.bases.template import render
from pipeline.chat import ChatOptions, Delta, Done, OllamaEngine
from pipeline.chat.tool_text import as_turns, tools_text, with_system_text
from pipeline.errors import ChatError, ExportError, InstallError
from pipeline.install import ollama_receipt, receipt
from pipeline.install.embedded import Job
from pipeline.install.ollama import install_ollama
from pipeline.install.ollama_pull import pull_through
from pipeline.install.ollama_server import OllamaServer, takes_adapters
from pipeline.install.params import InstallParams
from pipeline.install.reference import Reference
from pipeline.install.registry import Registry, Version
from pipeline.install.stage import run
from pipeline.install.template import go_template
from pipeline.install.versions import list_versions, remove, rollback
from pipeline.lab import Lab
from pipeline.modelfile import load
from simulator import validate
from simulator.errors import BadParameter
from simulator.events import Note, Progress, last_result

REAL = os.environ.get("BENLAB_TEST_OLLAMA", "")
SMALL = os.environ.get("BENLAB_TEST_OLLAMA_MODEL", "")
SERVERS = ["0.5.5", "0.32.15", "0.34.1", *(["real"] if REAL else [])]
OLD = "the model that was there before"


def _module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclasses.dataclass
class Place:
    """A server behind the proxy, and the name that the test may use there."""

    proxy: Any
    server: OllamaServer
    name: str
    real: bool

    def tags(self) -> set[str]:
        """What stands under the test's name."""
        return {tag for tag in self.server.names() if tag.partition(":")[0] == self.name}


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest, contract: Callable[..., Any], base: Base) -> Iterator[Place]:
    real, url = request.param == "real", REAL
    if not real:
        made = contract(version=request.param, engine="whole" in request.node.name)
        made.add_blob(base.path, base.sha256)
        url = made.url
    proxy = _module("ollama_proxy").FaultyProxy(url)
    found = Place(proxy, OllamaServer(proxy.url), f"benlab-test-{os.urandom(4).hex()}", real)
    yield found
    proxy.failures.clear()
    for tag in found.tags():
        with suppress(InstallError):
            found.server.delete(tag)
    found.server.close()
    proxy.close()


@pytest.fixture
def job(place: Place, lab_with_base: Lab, base: Base, small_adapter: Path) -> Job:
    return Job(lab_with_base, place.name, small_adapter, base, load(), lab_with_base.new_run("install"))


@pytest.fixture
def version(job: Job, small_adapter_gguf: Path) -> Version:
    """As the embedded install would leave it, without its receipt; of bytes that no server has seen."""
    folder = Registry(job.lab, job.name).folder_of(job.version)
    folder.mkdir(parents=True)
    last_number = np.float32(os.urandom(1)[0] / 1e4 + os.urandom(1)[0] / 1e7).tobytes()
    (folder / "adapter.gguf").write_bytes(small_adapter_gguf.read_bytes()[:-4] + last_number)
    return Version(
        job.version, job.lab.relative(folder / "adapter.gguf"), job.base.name, job.base.sha256, "now", job.run
    )


def put_old(place: Place, base: Base) -> None:
    """A model under the bare name, as an earlier install leaves it."""
    list(place.server.upload(base.path, base.sha256))
    list(place.server.create(place.name, files={base.path.name: f"sha256:{base.sha256}"}, system=OLD))


def test_blobs_go_by_head_and_post_once(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "a blob"
    file.write_bytes(os.urandom(3 << 20))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert not place.server.has_blob(digest)
    assert list(place.server.upload(file, digest))[-1] == 3 << 20
    assert place.server.has_blob(digest)
    list(place.server.upload(file, digest))
    assert place.proxy.steps.count("blob") == 1
    with pytest.raises(InstallError, match="digest mismatch"):
        list(place.server.upload(file, "0" * 64))


def test_install_shows_the_digests_and_is_listed_copied_and_deleted(place: Place, job: Job, version: Version) -> None:
    put_old(place, job.base)
    facts = {}
    steps = install_ollama(job, version, place.server)
    said = []
    while True:
        try:
            said.append(next(steps))
        except StopIteration as end:
            facts = end.value
            break
    assert facts["form"] == ("adapter" if takes_adapters(facts["server"], "llama") else "merged")
    assert Note("Ollama: success") in said
    shown = str(place.server.show(version.version).modelfile)
    assert all(digest in shown for digest in facts["stored"].values())
    assert set(facts["stored"]) == ({"base", "adapter"} if facts["form"] == "adapter" else {"base"})
    assert place.server.stored(version.version)["capabilities"] == ["completion", "tools"]
    assert OLD in str(place.server.show(place.name).modelfile)
    place.server.copy(version.version, place.name)
    assert OLD not in str(place.server.show(place.name).modelfile)
    assert place.tags() == {version.version, f"{place.name}:latest"}
    place.server.delete(version.version)
    assert place.tags() == {f"{place.name}:latest"}


def test_a_whole_install_has_its_receipt_and_rolls_back(
    place: Place, lab_with_base: Lab, small_adapter: Path, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short answers: those of random weights soon are gibberish, and text that is tokenized again is not the same."""
    monkeypatch.setattr(receipt, "_PROMPTS", receipt._PROMPTS[:2])
    for module in (receipt, ollama_receipt):
        monkeypatch.setattr(module, "TOKENS", 6)
        monkeypatch.setattr(module, "Reference", lambda *_: reference)
    asked = InstallParams(target="ollama", name=place.name, adapter=str(small_adapter), ollama_host=place.proxy.url)
    value = last_result(iter(list(run(lab_with_base, asked))))
    assert value["ollama"]["receipt"]["passed"] and value["current"], value["ollama"]
    registry = Registry(lab_with_base, place.name)
    first = registry.named(value["version"])
    second = dataclasses.replace(first, version=f"{place.name}:second", run="second")
    shutil.copytree(registry.folder_of(first.version), registry.folder_of(second.version))
    place.server.copy(first.version, second.version)
    registry.add(second)
    assert rollback(lab_with_base, place.name) == first
    remove(lab_with_base, "second", place.name)
    assert (
        place.tags() == {first.version, f"{place.name}:latest"} and len(list_versions(lab_with_base, place.name)) == 1
    )


async def test_chat_streams_and_closing_it_stops(place: Place, base: Base) -> None:
    put_old(place, base)
    engine = OllamaEngine(place.proxy.url, place.name, defaults=ChatOptions(temperature=0.0, max_tokens=64))
    ask: list[Any] = [{"role": "user", "content": "Count to twenty."}]
    async with aclosing(engine.chat(ask)) as events:
        got = [event async for event in events]
    assert isinstance(got[-1], Done) and got[-1].completion_tokens > 0
    assert "".join(event.text for event in got if isinstance(event, Delta)).strip()
    async with aclosing(engine.chat(ask)) as events:
        async for _ in events:
            break
    async with aclosing(engine.chat(ask)) as events:  # the server is free for the next
        assert [event async for event in events]
    place.proxy.failures["chat"] = "reset"
    with pytest.raises(ChatError, match="closed the connection"):
        async with aclosing(engine.chat(ask)) as events:
            [event async for event in events]
    await engine.aclose()


def test_a_pull_shows_its_progress(place: Place, lab: Lab) -> None:
    if place.real and not SMALL:
        pytest.skip("BENLAB_TEST_OLLAMA_MODEL names no small model")
    events = list(pull_through(lab, SMALL if place.real else "small:1b", place.proxy.url))
    assert Note("Ollama: success") in events and any(isinstance(event, Progress) for event in events)


def test_what_cannot_work_is_refused_before_the_server_is_asked(
    place: Place, lab_with_base: Lab, base: Base, small_adapter: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(small_adapter, tmp_path / "other")
    text = (other / "manifest.json").read_text().replace(base.sha256, "0" * 64)
    (other / "manifest.json").write_text(text)
    asked = InstallParams(target="ollama", name=place.name, adapter=str(other), ollama_host=place.proxy.url)
    with pytest.raises(ExportError, match="choose that base"):
        list(run(lab_with_base, asked))
    with pytest.raises(BadParameter):
        validate(InstallParams, {"name": "bad name!", "ollama_host": place.proxy.url})
    assert set(place.proxy.steps) <= {"version"} and not place.tags()


@pytest.mark.parametrize("place", [name for name in SERVERS if name != "0.34.1"], indirect=True)
@pytest.mark.parametrize(
    ("step", "how", "words"),
    [
        ("version", "html", "is not an Ollama server"),
        ("head", "reset", "looking for a blob"),
        ("blob", "reset", "sending a blob"),
        ("blob", "500", "refused the blob"),
        ("blob", "half", "sending a blob"),
        ("blob", "wrong digest", "digest mismatch"),
        ("create", "reset", "creating"),
        ("create", "500", "something broke inside"),
        ("create", "error line", "unsupported architecture"),
        ("create", "half", "creating"),
        ("show", "wrong digest", "without adapter.gguf"),
        ("chat", "500", "a first word"),
        ("create", "drip", ""),
    ],
)
def test_a_fault_on_the_way_keeps_the_old_model_and_the_next_install_works(
    step: str, how: str, words: str, place: Place, job: Job, version: Version
) -> None:
    put_old(place, job.base)
    place.proxy.failures[step] = how
    if words:
        with pytest.raises(InstallError, match=words) as raised:
            list(install_ollama(job, version, place.server))
        assert "\n" not in str(raised.value)
        place.proxy.failures.clear()
        assert place.tags() == {f"{place.name}:latest"}
        assert OLD in str(place.server.show(place.name).modelfile)
    list(install_ollama(job, version, place.server))
    assert version.version in place.tags()


@pytest.mark.parametrize("tools", [[], ["tri", "echo"]], ids=["none", "two"])
def test_the_server_renders_whole_conversations_as_training_does(tools: list[str], place: Place, base: Base) -> None:
    """The whole conversation, byte for byte, through the server's own template engine."""
    name = f"{place.name}:whole"
    list(place.server.upload(base.path, base.sha256))
    files = {base.path.name: f"sha256:{base.sha256}"}
    list(place.server.create(name, files=files, system="Be brief.", template=go_template(base)))
    calls = [
        {"function": {"name": "tri", "arguments": {"seed": 3, "bias": 1.0, "phase_type": "spt_cluster"}}},
        {"function": {"name": "echo", "arguments": {"delta": 1e-05, "phases": ["a", "b"]}}},
    ]
    chat: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Run both."},
        {"role": "assistant", "content": "Both.", "tool_calls": calls},
        {"role": "tool", "content": "TRI 0.2", "tool_name": "tri"},
        {"role": "tool", "content": "L 0.9", "tool_name": "echo"},
        {"role": "assistant", "content": "It is low."},
        {"role": "user", "content": "Why?"},
    ]
    parameters = {"type": "object", "properties": {}}
    schemas = [
        {"type": "function", "function": {"name": tool, "description": "d", "parameters": parameters}} for tool in tools
    ]
    turns = with_system_text(as_turns(chat), tools_text(schemas)) if tools else as_turns(chat)
    shown = place.server.rendered(name, chat, schemas)
    if shown is None and not place.real:
        assert place.server.version() == "0.5.5"  # too old to tell
        return
    assert shown == render(base, turns, add_generation_prompt=True)
    sent = as_turns(chat, keep_tool_role=True)  # as the chat's engine asks an installed model
    line = tools_text(schemas)
    assert place.server.rendered(name, with_system_text(sent, line) if tools else sent) == shown
