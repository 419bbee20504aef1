"""What the stage `install` takes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class InstallParams(BaseModel):
    """Install the trained adapter as a new version of ben-lab, and prove that it answers as it was trained."""

    model_config = ConfigDict(extra="forbid")

    target: Literal["auto", "embedded", "ollama"] = Field(
        default="auto", description="auto: embedded, and Ollama too where a server answers on this machine"
    )
    name: str = Field(
        default="ben-lab",
        min_length=1,
        max_length=80,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="the model's name: letters, digits, dots, dashes and underscores",
    )
    adapter: str | None = Field(
        default=None, description="folder of the adapter as peft saves it; the lab's newest (ben-lab-lora) unless given"
    )
    base: str | None = Field(default=None, description="base that it goes on; the one it was trained on unless given")
    ollama_host: str | None = Field(
        default=None,
        description="address of the Ollama server; benlab.toml, $OLLAMA_HOST or 127.0.0.1:11434 unless given",
    )
    force: bool = Field(
        default=False, description="make it the current version even where the tuned model scored no better"
    )
