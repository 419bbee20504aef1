"""The stage `install`: a new version of ben-lab, embedded and in Ollama, each with its proof."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pipeline.chat.open import contact_url
from pipeline.errors import InstallError
from pipeline.export.sources import adapter_and_base, manifest_of
from pipeline.install.alone import only_install, remove_left_by_kill
from pipeline.install.embedded import Job, install_embedded
from pipeline.install.ollama import install_ollama, supported
from pipeline.install.ollama_receipt import prove
from pipeline.install.ollama_server import OllamaServer
from pipeline.install.params import InstallParams
from pipeline.install.registry import Pending, Registry, Version
from pipeline.install.scores import newest_scores, warning
from pipeline.install.versions import catch_up, lagging, physics_warning, tell
from pipeline.lab import Lab, current_run
from pipeline.modelfile import load
from pipeline.trust import agree_to_hosts, remote_hosts
from simulator.events import Event, Note, Progress, Result


def run(lab: Lab, params: InstallParams) -> Iterator[Event]:
    """Progress and notes, then a Result with the version, its receipt, and whether it is current now.

    Raises ExportError, BaseError, InstallError, ChatError, LabError or NetworkError; the version that
    answered before then still does.
    """
    adapter, base = adapter_and_base(lab, params.adapter, params.base)
    modelfile = load(lab)
    _same_system(adapter, modelfile.system.strip())
    with only_install(lab) as waiting:
        if waiting:
            yield Note("another install is at work in this lab: this one waits until that has ended")
            waiting()
        remove_left_by_kill(lab, params.name)
        yield from _install(Job(lab, params.name, adapter, base, modelfile, current_run(lab, "install")), params)


def _install(job: Job, params: InstallParams) -> Iterator[Event]:
    lab = job.lab
    server = yield from _ollama_server(lab, params)
    try:
        version = yield from install_embedded(job)
        version = replace(version, scores=newest_scores(lab, job.adapter))
        if moved_on := physics_warning(version):
            yield Note(moved_on)
        former = Registry(lab, params.name).find(version.version)
        installed: dict[str, Any] = {}
        if server is not None:
            installed = yield from _on_ollama(job, version, server)
        version = _with_servers(version, installed, former)
    finally:
        if server is not None:
            server.close()
    registry = Registry(lab, params.name)
    worse = warning(version.scores, registry.current())
    current = params.force or not worse or registry.current() is None
    if worse:
        yield Note(f"{worse}: {'it is used all the same' if current else _keep(version)}")
    wanted = [Pending(host, params.name, version.version) for host in version.hosts() if current]
    for one in wanted:
        if one.host == installed.get("host"):
            tell(one)
    hosts = remote_hosts(registry)
    if installed:
        registry.keep(installed["host"], version.version)
    registry.add(version, make_current=current)
    agree_to_hosts(registry, hosts)
    for one in wanted:
        registry.remember(one)
        if one.host == installed.get("host"):
            registry.settle(one)
    catch_up(lab, params.name)
    yield from (Note(sentence) for sentence in lagging(lab, params.name))
    yield Progress("install", 3, 3, version.version)
    yield Result({**asdict(version), "ollama": installed, "current": current, "warning": worse})


def _same_system(adapter: Path, system: str) -> None:
    """Raises InstallError where the Modelfile has another system prompt than the adapter was trained with."""
    trained = manifest_of(adapter).get("system")
    if isinstance(trained, str) and trained != system:
        raise InstallError(
            "the Modelfile's system prompt is not the one that the adapter was trained with: "
            "put the former one back, or train again"
        )


def _ollama_server(lab: Lab, params: InstallParams) -> Generator[Event, None, OllamaServer | None]:
    """The server to install on, too: the one asked for, or for "auto" one that answers on this machine.

    It is asked before any work is done. One that was not asked for may be missing, which is no news, or too old.
    """
    if params.target == "embedded":
        return None
    server = OllamaServer(contact_url(lab, params.ollama_host))
    if server.is_remote and params.target != "ollama":
        server.close()
        return None
    try:
        supported(server)
    except InstallError as error:
        server.close()
        if params.target == "ollama":
            raise
        if server.answers:
            yield Note(f"{params.name} is embedded only: {error}")
        return None
    return server


def _on_ollama(job: Job, version: Version, server: OllamaServer) -> Generator[Event, None, dict[str, Any]]:
    """Install the version on the server and return what the registry keeps of it, with a receipt of its own."""
    facts = yield from install_ollama(job, version, server)
    receipt = yield from prove(job, version, server)
    return {**facts, "receipt": receipt}


def _with_servers(version: Version, installed: dict[str, Any], former: Version | None) -> Version:
    """Return the version with all servers that hold it: the one just installed on, and those of earlier installs."""
    others = [one for one in (former.servers if former else ()) if one["host"] != installed.get("host")]
    servers = [*others, *([installed] if installed else [])]
    return replace(version, servers=servers, target="embedded+ollama" if servers else "embedded")


def _keep(version: Version) -> str:
    return f"the version in use stays; `benlab use {version.version}` or --force takes this one"
