"""`/model NAME`: which model answers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.registry import Value, command


class ModelParams(BaseModel):
    """Which model."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        default="",
        max_length=200,
        description="auto, ben-lab, base, an installed version, or a model of the Ollama server; a list without it",
        examples=["auto", "ben-lab", "base"],
    )


@command(
    "model",
    "choose which model answers",
    params=ModelParams,
    positional=("name",),
    where="console",
    group="Chat",
    examples=("model base",),
)
async def model(context: Any, params: ModelParams) -> Value | None:
    """Without a name the same as F2. Raises PipelineError where that model cannot be opened."""
    from benlab_tui.control.engines import AUTOMATIC
    from benlab_tui.screens.models import use_model

    screen = context.screen
    if not params.name:
        screen.action_models()
        return None
    await use_model(screen, AUTOMATIC if params.name == "automatic" else params.name)
    return {"model": params.name, "summary": screen.engines.label}
