"""Pulling a base through an Ollama server, with its progress."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from simulator.events import Event, Note, Progress

if TYPE_CHECKING:
    from pipeline.lab import Lab


def pull_through(lab: Lab, tag: str, host: str | None = None) -> Iterator[Event]:
    """The server's own pull of `tag`: statuses as notes, bytes as progress; it resumes where it broke.

    Raises InstallError where the server does not answer or refuses the tag.
    """
    from pipeline.chat.open import contact_url
    from pipeline.install.ollama_server import OllamaServer

    server = OllamaServer(contact_url(lab, host))
    said = ""
    try:
        for status in server.pull(tag):
            if status.total:
                yield Progress("pull", float(status.completed or 0), status.total, f"{tag}: {status.digest or ''}"[:60])
            elif status.status and status.status != said:
                said = status.status
                yield Note(f"Ollama: {said}")
    finally:
        server.close()
