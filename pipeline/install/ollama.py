"""Install into an Ollama server: as an adapter where it takes them, merged where it does not, proven before it answers.

Everything happens under the version's own tag (`ben-lab:<run>`); `ben-lab` is pointed at it by the last step, so
that an install that fails, or is killed, anywhere before leaves the old `ben-lab` as it was. Bytes that the server
holds already are not sent again, so that a second try goes on where the first broke.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.chat.decoding import parameters
from pipeline.chat.events import Message
from pipeline.chat.tool_text import as_turns
from pipeline.errors import InstallError, NoAdaptersError
from pipeline.export.merged import merge
from pipeline.files import sha256_of
from pipeline.install.embedded import Job, ollama_source
from pipeline.install.ollama_server import OLDEST, OllamaServer, takes_adapters, version_numbers
from pipeline.install.registry import OWN_TEMPLATE
from pipeline.install.stored import check_stored, shown_parameters
from pipeline.install.template import go_template
from simulator.events import Event, Note, Progress

if TYPE_CHECKING:
    from pipeline.install.registry import Version

MERGED = "ben-lab-merged.gguf"


@dataclass(frozen=True, slots=True)
class Plan:
    """How this server gets the model: `files` and `adapters` are {name: (path, sha256)}; `base_tag` its own base."""

    form: str
    base_tag: str | None
    files: dict[str, tuple[Path, str]]
    adapters: dict[str, tuple[Path, str]]

    @property
    def file(self) -> Path:
        """The base, or the merged model."""
        return next(iter(self.files.values()))[0]

    @property
    def adapter(self) -> tuple[str, str] | None:
        """The adapter's name and sha256, or None for a merged model."""
        return next(((name, digest) for name, (_, digest) in self.adapters.items()), None)


def install_ollama(job: Job, version: Version, server: OllamaServer) -> Generator[Event, None, dict[str, Any]]:
    """Creates `version.version` on the server and tries it out; `versions.tell` then gives it the bare name.

    `version` is the embedded install of the same adapter: its receipt has shown that adapter and base fit.
    Returns what the registry keeps. Raises InstallError, which names the step; the tag is then gone again.
    """
    from pipeline.gguf_head import read_head

    running = supported(server)
    yield Note(f"Ollama {running} at {server.url}")
    if server.is_remote:
        yield Note(f"{server.url} is not this machine: the model goes over the network")
    tag = yield from _base_tag(job, server)
    adapter = takes_adapters(running, read_head(job.base.path).architecture)
    try:
        plan = yield from _plan(job, version, tag, running, adapter)
        request, stored = yield from _make(job, version.version, server, plan)
    except NoAdaptersError:
        plan = yield from _plan(job, version, tag, running, adapter=False)
        request, stored = yield from _make(job, version.version, server, plan)
    yield Progress("ollama", 2, 2, version.version)
    return {
        "host": server.url,
        "server": running,
        "form": plan.form,
        "stored": stored,
        "template": OWN_TEMPLATE if _has_own_template(job, server, version.version, request) else "the server's",
    }


def _make(
    job: Job, model: str, server: OllamaServer, plan: Plan
) -> Generator[Event, None, tuple[dict[str, Any], dict[str, str]]]:
    """Send and create the model and hear a first word; return the request and what the server stored.

    From the start of `create` on a failure deletes the tag. Before it, one of an earlier install stays.
    """
    created = False
    try:
        request = _request(job, server, plan)
        yield from _send(server, plan)
        created = True
        yield from _create(server, model, request)
        stored = check_stored(server, model, plan.file, plan.adapter)
        yield Progress("ollama", 1, 2, "a first word")
        server.answer(model, [{"role": "user", "content": "Hello"}], 1)
    except BaseException:
        if created:
            with suppress(InstallError):
                server.delete(model)
        raise
    finally:
        (job.run_folder / MERGED).unlink(missing_ok=True)
    return request, stored


_RESULTS: list[Message] = [
    {"role": "system", "content": "a"},
    {"role": "user", "content": "b"},
    {"role": "assistant", "content": 'TOOL: {"name": "c", "arguments": {}}'},
    {"role": "tool", "content": "d"},
    {"role": "tool", "content": "e"},
]


def _has_own_template(job: Job, server: OllamaServer, model: str, request: dict[str, Any]) -> bool:
    """Whether the server renders results by the template that it was sent.

    From 0.32 on it passes over a TEMPLATE if the GGUF's own chat template can do more, such as think.
    """
    from pipeline.bases.template import render

    if request.get("template", "") != go_template(job.base):
        return False
    shown = server.rendered(model, _RESULTS)
    wanted = render(job.base, as_turns(_RESULTS), add_generation_prompt=True)
    bos = job.base.bos_token
    return shown is None or shown.removeprefix(bos) == wanted.removeprefix(bos)


def supported(server: OllamaServer) -> str:
    """The server's version. Raises InstallError below 0.5.5, whose create speaks another language."""
    running = server.version()
    numbers = version_numbers(running)
    if numbers and numbers < OLDEST:
        raise InstallError(
            f"Ollama {running} at {server.url} is older than 0.5.5: upgrade it (https://ollama.com/download), "
            "or install with target embedded"
        )
    return running


def _plan(job: Job, version: Version, tag: str | None, running: str, adapter: bool) -> Generator[Event, None, Plan]:
    if adapter:
        path = job.lab.root / version.adapter
        files = {job.base.path.name: (job.base.path, job.base.sha256)}
        return Plan("adapter", tag, files, {"adapter.gguf": (path, sha256_of(path))})
    yield Note(f"Ollama {running} takes no adapter for this base: the adapter is merged into it")
    merged = job.run_folder / MERGED
    yield from merge(job.adapter, job.base.path, merged, base_sha256=job.base.sha256)
    return Plan("merged", tag, {MERGED: (merged, sha256_of(merged))}, {})


def _base_tag(job: Job, server: OllamaServer) -> Generator[Event, None, str | None]:
    """The base's tag on that server, pulled where it is missing, if it serves the very bytes that were trained on."""
    source = ollama_source(job.base)
    if source == str(job.base.path):
        return None
    names = server.names()
    if source not in names and f"{source}:latest" not in names:
        for status in server.pull(source):
            yield Progress("pull", float(status.completed or 0), status.total, f"{source}: {status.status}")
    same = job.base.sha256 in str(server.show(source).modelfile)
    if not same:
        yield Note(f"{source} on {server.url} has other bytes than the base trained on: those are sent instead")
    return source if same else None


def _request(job: Job, server: OllamaServer, plan: Plan) -> dict[str, Any]:
    """The create request. With `from` the server keeps its template; with files ours goes along."""
    shown = server.show(plan.base_tag) if plan.base_tag else None
    template = go_template(job.base)
    request: dict[str, Any] = {
        "system": job.modelfile.system,
        "parameters": shown_parameters(shown.parameters if shown else None) | parameters(job.modelfile, job.base),
    }
    if plan.adapters:
        request["adapters"] = {name: f"sha256:{digest}" for name, (_, digest) in plan.adapters.items()}
    if plan.base_tag and plan.form == "adapter" and template is None:
        return {**request, "from_": plan.base_tag}
    request["files"] = {name: f"sha256:{digest}" for name, (_, digest) in plan.files.items()}
    if template := template or (shown.template if shown else None):
        request["template"] = template
    licence = shown.license if shown else job.base.entry.licence if job.base.entry else None
    return {**request, "license": licence} if licence else request


def _send(server: OllamaServer, plan: Plan) -> Generator[Event, None, None]:
    for name, (path, digest) in {**plan.files, **plan.adapters}.items():
        size = path.stat().st_size
        for sent in server.upload(path, digest):
            yield Progress("upload", sent, size, name)


def _create(server: OllamaServer, model: str, request: dict[str, Any]) -> Generator[Event, None, None]:
    for status in server.create(model, **request):
        if status.total:
            yield Progress("create", float(status.completed or 0), status.total, status.status or "")
        elif status.status:
            yield Note(f"Ollama: {status.status}")
