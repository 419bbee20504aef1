"""Installed versions: listed with their lineage, chosen, rolled back, removed; on Ollama by copy and delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.errors import InstallError, ModelGoneError, Untrusted
from pipeline.install.registry import NAME, Pending, Registry, Version
from pipeline.trust import may_contact

if TYPE_CHECKING:
    from pipeline.lab import Lab

_PATIENCE = 20.0
"""Seconds that a server may take to name or delete a model."""


def list_versions(lab: Lab, name: str = NAME) -> list[dict[str, Any]]:
    """Return one row a version, the newest first: lineage (data, base, recipe), scores, receipts, and `current`.

    `warning` says if the physics has moved on since the model was trained. Raises InstallError.
    """
    catch_up(lab, name)
    registry = Registry(lab, name)
    current = registry.current()
    return [_row(version, version == current) for version in reversed(registry.versions())]


def use(lab: Lab, version: str, name: str = NAME) -> Version:
    """Make that version answer, on its Ollama servers too. Raises InstallError; the former one then still answers.

    A server that does not answer is told when it does; `lagging` says so until then.
    """
    registry = Registry(lab, name)
    chosen = registry.named(version)
    for host in chosen.hosts():
        if not may_contact(lab, registry, host):
            raise InstallError(f"{chosen.version} is on {host}, to which you have said no: see `benlab trust`")
    registry.use(chosen.version)
    for host in chosen.hosts():
        registry.remember(Pending(host, name, chosen.version))
    catch_up(lab, name)
    return chosen


def rollback(lab: Lab, name: str = NAME) -> Version:
    """Make the version before the current one answer. Raises InstallError if there is none."""
    registry = Registry(lab, name)
    previous = registry.previous()
    if previous is None:
        raise InstallError(f"there is no version before the one in use: see `benlab models` for what {name} has")
    return use(lab, previous.version, name)


def remove(lab: Lab, version: str, name: str = NAME) -> Version:
    """Delete a version and its tags on Ollama servers; without any version the base answers.

    With the last one the bare name goes, too, unless it has become another lab's there. Raises InstallError for the
    one in use while there are others. A server that does not answer is told when it does.
    """
    registry = Registry(lab, name)
    chosen = registry.named(version)
    contacted = [host for host in chosen.hosts() if may_contact(lab, registry, host)]
    gone = registry.remove(chosen.version)
    last = not registry.versions()
    behind = {one.host for one in registry.pending() if one.name == name}
    for host in contacted:
        if last:
            registry.remember(Pending(host, name, "", "" if host in behind else gone.version))
        registry.remember(Pending(host, gone.version, ""))
    catch_up(lab, name)
    return gone


def catch_up(lab: Lab, name: str = NAME, host: str | None = None) -> None:
    """Tell the servers, or that one, what they missed. One that does not answer is asked again the next time."""
    registry = Registry(lab, name)
    down: set[str] = set()
    for wanted in registry.pending():
        if wanted.host in down or host not in (None, wanted.host):
            continue
        try:
            if may_contact(lab, registry, wanted.host):
                tell(wanted)
        except ModelGoneError:  # nothing is left there to name or to delete
            _forget_server(registry, wanted)
        except (InstallError, Untrusted):
            down.add(wanted.host)
            continue
        registry.settle(wanted)


def lagging(lab: Lab, name: str = NAME) -> list[str]:
    """Return a sentence for each name on a server that is not yet what it should be."""
    notes = []
    for wanted in Registry(lab, name).pending():
        state = f"still stands for the former version, not {wanted.version}" if wanted.version else "is still there"
        mend = "moved" if wanted.version else "deleted"
        notes.append(f"{wanted.host} did not answer: {wanted.name} {state}; it is {mend} when the server is back")
    return notes


def _forget_server(registry: Registry, wanted: Pending) -> None:
    version = registry.find(wanted.version) if wanted.version else None
    if version is not None:
        registry.update(version.version, servers=[one for one in version.servers if one["host"] != wanted.host])


def tell(wanted: Pending) -> None:
    """Name or delete a model on its server. Raises InstallError."""
    from pipeline.install.ollama_server import OllamaServer

    server = OllamaServer(wanted.host, patience=_PATIENCE)
    try:
        if wanted.version:
            server.copy(wanted.version, wanted.name)
        elif not wanted.same_as or server.same(wanted.name, wanted.same_as):
            server.delete(wanted.name)
    finally:
        server.close()


def physics_warning(version: Version) -> str:
    """One sentence where the simulator's physics is not the one that the model was trained on, else empty."""
    from simulator import PHYSICS_VERSION

    if not version.physics_version or version.physics_version == PHYSICS_VERSION:
        return ""
    return (
        f"{version.version} was trained on physics {version.physics_version} and the simulator is at "
        f"{PHYSICS_VERSION}: generate and train again for answers that match it"
    )


def _row(version: Version, current: bool) -> dict[str, Any]:
    receipt = version.receipt
    return {
        "version": version.version,
        "current": current,
        "created": version.created,
        "base": version.base,
        "base_sha256": version.base_sha256,
        "data_sha256": version.data_sha256,
        "recipe": version.recipe,
        "run": version.run,
        "physics_version": version.physics_version,
        "target": version.target,
        "servers": [{**one, "summary": summary(one.get("receipt") or {})} for one in version.servers],
        "scores": version.scores,
        "receipt": receipt,
        "summary": summary(receipt),
        "warning": physics_warning(version),
    }


def summary(receipt: dict[str, Any]) -> str:
    """A receipt in one line."""
    if not receipt:
        return "no receipt"
    try:
        return (
            f"{'passed' if receipt['passed'] else 'failed'}: prompts {receipt['prompts_equal']}/{receipt['prompts']}, "
            f"tokens {receipt['tokens_agreeing']}/{receipt['tokens']}, {receipt['tokens_per_second']:.0f} tokens/s, "
            f"first token {receipt['first_token_seconds']:.2f} s"
        )
    except (KeyError, TypeError, ValueError):
        return "a receipt that cannot be read: install again"
