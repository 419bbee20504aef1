"""Installed versions: listed with their lineage, chosen, rolled back, removed; on Ollama by copy and delete."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipeline.errors import InstallError
from pipeline.install.registry import NAME, Registry, Version
from pipeline.trust import may_contact

if TYPE_CHECKING:
    from pipeline.lab import Lab


def list_versions(lab: Lab, name: str = NAME) -> list[dict[str, Any]]:
    """One row a version, the newest first: lineage (data, base, recipe), scores, receipt, and `current`.

    `warning` says where the physics has moved on since the model was trained. Raises InstallError.
    """
    registry = Registry(lab, name)
    current = registry.current()
    return [_row(version, version == current) for version in reversed(registry.versions())]


def use(lab: Lab, version: str, name: str = NAME) -> Version:
    """Makes that version answer, on its Ollama server too. Raises InstallError; the former one then still answers."""
    registry = Registry(lab, name)
    chosen = registry.named(version)
    if chosen.ollama:
        host = str(chosen.ollama["host"])
        if not may_contact(lab, registry, host):
            raise InstallError(f"{chosen.version} is on {host}, to which you have said no: see `benlab trust`")
        point_ollama(chosen, name)
    return registry.use(chosen.version)


def rollback(lab: Lab, name: str = NAME) -> Version:
    """Makes the version before the current one answer. Raises InstallError where there is none."""
    registry = Registry(lab, name)
    previous = registry.previous()
    if previous is None:
        raise InstallError(f"there is no version before the one in use: see `benlab models` for what {name} has")
    return use(lab, previous.version, name)


def remove(lab: Lab, version: str, name: str = NAME) -> Version:
    """Deletes a version that is not in use, and its tag on Ollama. Raises InstallError."""
    registry = Registry(lab, name)
    chosen = registry.named(version)
    contact = bool(chosen.ollama) and may_contact(lab, registry, str(chosen.ollama["host"]))
    gone = registry.remove(chosen.version)
    if contact:
        from pipeline.install.ollama_server import OllamaServer

        server = OllamaServer(str(gone.ollama["host"]))
        # A server that is off, or has lost the tag, must not keep the lab from forgetting the version.
        with suppress(InstallError):
            server.delete(gone.version)
        server.close()
    return gone


def point_ollama(version: Version, name: str = NAME) -> None:
    """Gives the version's tag on its server the bare name. Raises InstallError."""
    from pipeline.install.ollama_server import OllamaServer

    server = OllamaServer(str(version.ollama["host"]))
    try:
        server.copy(version.version, name)
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
        "ollama": version.ollama,
        "scores": version.scores,
        "receipt": receipt,
        "summary": summary(receipt),
        "warning": physics_warning(version),
    }


def summary(receipt: dict[str, Any]) -> str:
    """A receipt in one line."""
    if not receipt:
        return "no receipt"
    return (
        f"{'passed' if receipt['passed'] else 'failed'}: prompts {receipt['prompts_equal']}/{receipt['prompts']}, "
        f"tokens {receipt['tokens_agreeing']}/{receipt['tokens']}, {receipt['tokens_per_second']:.0f} tokens/s, "
        f"first token {receipt['first_token_seconds']:.2f} s"
    )
