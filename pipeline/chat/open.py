"""Which engine answers: Ollama where its server lists the model, else llama.cpp in a child process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.chat.decoding import context, decoding
from pipeline.chat.events import ChatEvent, ChatOptions, Message
from pipeline.errors import ChatError

if TYPE_CHECKING:
    from pipeline.chat.embedded import EmbeddedEngine
    from pipeline.chat.ollama import OllamaEngine
    from pipeline.install.registry import Registry
    from pipeline.lab import Lab
    from pipeline.modelfile import Modelfile

DEFAULT_HOST = "127.0.0.1:11434"
_LOOK_SECONDS = 1.5


class ChatEngine(Protocol):
    """What the console, the API and the headless commands chat with.

    `is_remote`: the words leave this machine, so the person is asked once before the first one does.
    `context_length` is 0 where the server does not tell.
    """

    label: str
    model: str
    is_remote: bool

    @property
    def context_length(self) -> int: ...

    def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        options: ChatOptions | None = None,
    ) -> AsyncGenerator[ChatEvent, None]: ...

    async def aclose(self) -> None: ...


async def open_engine(lab: Lab, model: str = "ben-lab", *, ollama_host: str | None = None) -> ChatEngine:
    """The engine for `model`: "ben-lab", an installed version ("ben-lab:<run>"), "base", or a server's model.

    Ollama answers where its server lists the model; else the embedded engine does, from the lab's own
    files. `[chat] url` in benlab.toml names an OpenAI-compatible server, and `model = "url:NAME"` a model there.
    Raises ChatError.
    """
    from pipeline.modelfile import load

    modelfile = load(lab)
    if model.startswith("url:"):
        return _openai(lab, model.removeprefix("url:"), modelfile)
    if engine := await _ollama(contact_url(lab, ollama_host), model, modelfile, lab):
        return engine
    return await asyncio.to_thread(_embedded, lab, model, modelfile)


def ollama_url(lab: Lab, host: str | None = None) -> str:
    """The Ollama server's address: `host`, else [chat] ollama_host, else $OLLAMA_HOST, else 127.0.0.1:11434."""
    from pipeline.chat.http import address

    return address(host or configured(lab, "chat", "ollama_host") or os.environ.get("OLLAMA_HOST") or DEFAULT_HOST)


def contact_url(lab: Lab, host: str | None = None) -> str:
    """`ollama_url`, for whoever is about to speak to that server.

    A remote host that benlab.toml names is passed over after a no. Raises Untrusted before there is an answer.
    """
    from pipeline.chat.http import address
    from pipeline.trust import may_use_config

    if host or not configured(lab, "chat", "ollama_host") or may_use_config(lab):
        return ollama_url(lab, host)
    return address(os.environ.get("OLLAMA_HOST") or DEFAULT_HOST)


def configured(lab: Lab, table: str, key: str) -> str | None:
    """A text in benlab.toml, or None where it is missing, empty or no text."""
    section = lab.config().get(table)
    value = section.get(key) if isinstance(section, dict) else None
    return value if isinstance(value, str) and value else None


async def _ollama(url: str, model: str, modelfile: Modelfile, lab: Lab) -> OllamaEngine | None:
    """An engine on that server, or None where it does not answer as Ollama or does not list the model."""
    import httpx

    from pipeline.chat.http import is_loopback, tls_for
    from pipeline.chat.look import small_json
    from pipeline.chat.ollama import OllamaEngine

    wanted = await asyncio.to_thread(_ollama_name, lab, model, url)
    if wanted is None:
        return None
    try:
        async with httpx.AsyncClient(
            timeout=_LOOK_SECONDS, trust_env=not is_loopback(url), verify=tls_for(url)
        ) as client:
            listed = (await small_json(client, f"{url}/api/tags"))["models"]
            names = {str(entry.get("model") or entry.get("name")) for entry in listed}
            if not names & {wanted, f"{wanted}:latest"}:
                return None
            await asyncio.to_thread(_catch_up, lab, model, url)
            version = str((await small_json(client, f"{url}/api/version"))["version"])[:40]
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, KeyError, TypeError, AttributeError):
        return None
    version_here = None if model == "base" else _registry(lab, model).find(model)
    return OllamaEngine(
        url,
        wanted,
        version=version,
        defaults=decoding(modelfile),
        system=modelfile.system,
        learned_tools=version_here is not None and bool(version_here.tools),
        own_template=version_here is not None and version_here.renders_results(url),
    )


def _catch_up(lab: Lab, model: str, url: str) -> None:
    """Tell the server that answers what it missed while it was down."""
    from pipeline.install.versions import catch_up

    registry = _registry(lab, model)
    if any(wanted.host == url for wanted in registry.pending()):
        catch_up(lab, registry.name, url)


def _ollama_name(lab: Lab, model: str, url: str) -> str | None:
    """The name that this server would list the model under; None where it serves other bytes.

    A version that was installed there is asked for by its own tag, which no later install moves.
    """
    if model == "base":
        return _base_tag(lab)
    registry = _registry(lab, model)
    version = registry.find(model)
    if version is None:
        return model
    if version.on(url):
        return version.version
    # There the bare name still stands for another version of this lab.
    return None if any(other.on(url) for other in registry.versions()) else model


def _base_tag(lab: Lab) -> str | None:
    """The tag that serves the base's own bytes; a base from elsewhere is embedded, as Ollama's may be other bytes."""
    from pipeline.bases import find_entry, locate
    from pipeline.errors import BaseError

    name = base_name(lab)
    try:
        kind, _, tag = locate(lab, name).source.partition(" ")
    except BaseError:
        entry = find_entry(name)
        return (entry.ollama_tag if entry else None) or name.removeprefix("ollama:")
    return tag if kind == "ollama" and tag else None


def base_name(lab: Lab) -> str:
    """The base that the version in use was trained on, else the lab's chosen or the default one."""
    from pipeline.install.registry import Registry

    current = Registry(lab).current()
    return current.base if current else configured(lab, "train", "base") or "smollm2"


def _embedded(lab: Lab, model: str, modelfile: Modelfile) -> EmbeddedEngine:
    """Starts the embedded engine with the version's base, and its adapter at hand even where the base answers."""
    from pipeline.bases import locate
    from pipeline.chat.embedded import EmbeddedEngine
    from pipeline.chat.server import EmbeddedServer
    from pipeline.errors import BaseError

    registry = _registry(lab, model)
    version = registry.current() if model == "base" else registry.find(model)
    if version is None and model != "base":
        raise ChatError(_not_here(lab, model, registry))
    try:
        base = locate(lab, version.base if version else base_name(lab))
    except BaseError as error:
        raise ChatError(str(error)) from error
    if base.kind != "gguf":
        raise ChatError(
            f"the base {base.name} is a folder of safetensors and the embedded engine reads GGUF: "
            "install ben-lab in Ollama, or train on a GGUF base"
        )
    adapters = [registry.adapter_path(version)] if version else []
    server = EmbeddedServer(
        base, adapters, context=context(modelfile, base.context_length), log=lab.models / "embedded.log"
    )
    server.open()
    name = "base " + base.name if model == "base" else model
    return EmbeddedEngine(
        server,
        name,
        adapter=model != "base",
        defaults=decoding(modelfile, base),
        system=modelfile.system,
        learned_tools=model != "base" and version is not None and bool(version.tools),
    )


def _registry(lab: Lab, model: str) -> Registry:
    """The versions under the model's name; those of ben-lab for "base" and for a bare version."""
    from pipeline.install.registry import Registry

    other = Registry(lab, model.partition(":")[0]) if model != "base" and "/" not in model else Registry(lab)
    return other if other.versions() else Registry(lab)


def _not_here(lab: Lab, model: str, registry: Any) -> str:
    versions = [version.version for version in registry.versions()]
    if model == "ben-lab":
        first = "`benlab install`" if lab.adapter_dir.exists() else "`benlab loop`"
        return f"ben-lab is not installed yet: run {first}, or chat with the base (`benlab ask --base`)"
    known = ", ".join(["base", "ben-lab", *versions][:12])
    return f"no engine here has the model {model!r}: use one of {known}, or a model that Ollama lists"


def _openai(lab: Lab, model: str, modelfile: Modelfile) -> ChatEngine:
    from pipeline.chat.http import address
    from pipeline.chat.openai import OpenAIEngine
    from pipeline.trust import key_variable, may_use_config, shown

    url = configured(lab, "chat", "url")
    if not url:
        raise ChatError('no server is named for url: models: set [chat] url = "http://HOST:PORT/v1" in benlab.toml')
    key = os.environ.get(key_variable(lab.config()["chat"]), "")
    if not may_use_config(lab):
        raise ChatError(
            f"{lab.config_path} names the server {shown(address(url, 80))}, to which you have said no: "
            "`benlab trust` changes the answer"
        )
    return OpenAIEngine(url, model, key=key, defaults=decoding(modelfile), system=modelfile.system)
