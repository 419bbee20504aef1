"""The stage that runs one experiment of the simulator and keeps its result in the lab's notebook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

import simulator
from pipeline.lab import Lab
from simulator.events import Event


class ExperimentParams(BaseModel):
    """Which experiment, and its own parameters."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="the experiment's name", examples=["run_phase"])
    params: dict[str, Any] = Field(default_factory=dict, description="the experiment's parameters")


def run(lab: Lab, params: ExperimentParams) -> Iterator[Event]:
    """The experiment's events. Raises simulator.errors.UnknownName and BadParameter."""
    yield from simulator.run(params.name, params.params, notebook=lab.notebook())
