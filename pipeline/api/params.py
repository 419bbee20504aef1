"""What the command `serve` takes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ServeParams(BaseModel):
    """Serve the Lab API over HTTP."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        max_length=253,
        description="address to answer on; any but this machine's own needs a token",
        examples=["127.0.0.1", "192.168.1.20"],
    )
    port: int = Field(8000, ge=1, le=65535, description="TCP port", examples=[8000])
    token: str | None = Field(
        None,
        min_length=16,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="secret that every request must bring as `Authorization: Bearer TOKEN`; others can read a command "
        "line, so better token_file, or $BENLAB_TOKEN",
        examples=["a-long-random-word"],
    )
    token_file: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="file whose first line is the token",
        examples=["~/.config/benlab-token"],
    )
