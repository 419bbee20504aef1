"""Chat engines: Ollama, the embedded llama.cpp, or any OpenAI-compatible server, behind one protocol.

Names are imported when first used, so that a console starts without httpx and a child without either.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.chat.compare import open_side_by_side
    from pipeline.chat.embedded import EmbeddedEngine
    from pipeline.chat.events import ChatEvent, ChatOptions, Delta, Done, Message, ToolCall
    from pipeline.chat.ollama import OllamaEngine
    from pipeline.chat.open import ChatEngine, open_engine
    from pipeline.chat.openai import OpenAIEngine
    from pipeline.chat.question import ask
    from pipeline.chat.server import EmbeddedServer

_PLACES = {
    "ask": "question",
    "EmbeddedEngine": "embedded",
    "ChatEvent": "events",
    "ChatOptions": "events",
    "Delta": "events",
    "Done": "events",
    "Message": "events",
    "ToolCall": "events",
    "OllamaEngine": "ollama",
    "ChatEngine": "open",
    "open_engine": "open",
    "open_side_by_side": "compare",
    "OpenAIEngine": "openai",
    "EmbeddedServer": "server",
}

__all__ = [
    "ChatEngine",
    "ChatEvent",
    "ChatOptions",
    "Delta",
    "Done",
    "EmbeddedEngine",
    "EmbeddedServer",
    "Message",
    "OllamaEngine",
    "OpenAIEngine",
    "ToolCall",
    "ask",
    "open_engine",
    "open_side_by_side",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
