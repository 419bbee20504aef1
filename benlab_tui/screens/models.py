"""F2: which model answers: ben-lab, its versions, the base, or what Ollama lists."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benlab_tui.control.engines import AUTOMATIC
from benlab_tui.screens.picker import Choice, Picker

if TYPE_CHECKING:
    from benlab_tui.screens.sending import Sending
    from pipeline.lab import Lab


async def choose_model(screen: Sending) -> None:
    """Switches to the chosen model and keeps the choice."""
    choices = await asyncio.to_thread(_choices, screen.lab)
    current = screen.engines.model

    def find(query: str) -> list[Choice]:
        return [
            Choice(choice.key, ("● " if choice.key == current else "  ") + choice.label, choice.help)
            for choice in choices
            if query.lower() in choice.label.lower()
        ]

    chosen = await screen.app.push_screen_wait(Picker("Model", find))
    if chosen is not None:
        await use_model(screen, chosen[1])


async def use_model(screen: Sending, model: str) -> None:
    """Answers come from this model from now on; the former stays where it cannot be opened. Raises PipelineError."""
    from pipeline.errors import PipelineError

    await screen.chat.stop()
    former = screen.engines.model
    await screen.engines.switch(model)
    try:
        await screen.engines.get()
    except PipelineError:
        await screen.engines.switch(former)
        raise
    finally:
        await screen.open_engine()
    screen.chats.remember("model", model)


def _choices(lab: Lab) -> list[Choice]:
    """Names of this lab, and what its Ollama server lists."""
    from pipeline.errors import PipelineError
    from pipeline.install.registry import Registry

    choices = [
        Choice(AUTOMATIC, "automatic", "ben-lab, or the base while nothing is installed"),
        Choice("ben-lab", "ben-lab", "the installed version in use"),
        Choice("base", "base", "the base model alone"),
    ]
    try:
        choices += [Choice(v.version, v.version, f"on {v.base}, {v.created}") for v in Registry(lab).versions()]
    except PipelineError as error:
        choices.append(Choice("base", "base", str(error)))
    return choices + [Choice(name, name, "on the Ollama server") for name in ollama_models(lab)]


def ollama_models(lab: Lab) -> list[str]:
    """What the Ollama server lists; nothing where none answers at once."""
    import httpx

    from pipeline.chat.http import is_loopback
    from pipeline.chat.open import contact_url
    from pipeline.errors import PipelineError

    try:
        url = contact_url(lab)
        with httpx.Client(timeout=1.0, trust_env=not is_loopback(url)) as client:
            listed = client.get(f"{url}/api/tags").json()["models"]
        return [str(entry["name"]) for entry in listed][:100]
    except (httpx.HTTPError, PipelineError, ValueError, KeyError, TypeError, AttributeError):
        return []
