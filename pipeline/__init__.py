"""Data, training, evaluation, export, install and chat: everything between the lab and the console."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.chat.question import ask

__all__ = ["ask"]


def __getattr__(name: str) -> Any:
    if name == "ask":
        from pipeline.chat.question import ask

        return ask
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
