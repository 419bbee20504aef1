"""What the stage `loop` takes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LoopParams(BaseModel):
    """Experiments → data → train → evaluate → export → install → one question."""

    model_config = ConfigDict(extra="forbid")

    quick: bool = Field(default=False, description="the small recipe: minutes on two CPU cores")
    recipe: str | None = Field(
        default=None,
        max_length=4096,
        description="quick, full, or a TOML file with tables [data] [train] [eval] [export] [install]",
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="seed of data and training")
    base: str = Field(default="smollm2", min_length=1, max_length=500, description="the base model")
    question: str = Field(
        default="What are the four phase types in Ben Lab?",
        min_length=1,
        max_length=10_000,
        description="what ben-lab is asked in the end",
    )
