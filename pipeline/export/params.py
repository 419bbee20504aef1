"""What the stage `export` takes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ExportParams(BaseModel):
    """Write the adapter, or the base with the adapter merged in, as GGUF."""

    model_config = ConfigDict(extra="forbid")

    adapter: str | None = Field(
        default=None, description="folder of the adapter as peft saves it; the lab's newest (ben-lab-lora) unless given"
    )
    base: str | None = Field(default=None, description="base that it goes on; the one it was trained on unless given")
    out: str | None = Field(
        default=None, description="file to write; ben-lab-adapter.gguf, or ben-lab-merged.gguf, in the lab unless given"
    )
    merged: bool = Field(default=False, description="merge the adapter into the base and write one whole model")
    quantize: Literal["none", "q8_0"] = Field(
        default="none",
        description="with merged: store the changed tensors as Q8_0 instead of F16, and measure what that costs",
    )
