"""The parameters of the long studies: sweeps over a grid, and the RL scientist.

`Sweep` is what a tool call or a request of the Lab API may ask for. `PersonalSweep` adds what only a person may choose:
how many processes run, and on which machines.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from simulator.cost import refuse_costly, run_seconds
from simulator.params import (
    DEFAULT_BIAS,
    LARGEST_SWEEP,
    PHASES,
    PHASES_WITH_SECTORS,
    SEED_LIMIT,
    Depth,
    Params,
    Phases,
    Sector,
    Seed,
    Shots,
    SystemSize,
    Whole,
    _distinct,
    _items,
    _unsigned,
)

_List = BeforeValidator(_items)
_Distinct = AfterValidator(_distinct)


def _encrypted_or_here(value: str | None) -> str | None:
    """Refuses a scheduler on another machine that is not reached over TLS: what it sends is run as code."""
    if value is None or value.startswith(("tls://", "wss://")) or _is_loopback(value):
        return value
    raise ValueError(
        f"cluster is {value!r}, which is neither on this machine nor encrypted, and this process runs code that the "
        f"scheduler sends: use {'wss' if value.startswith('ws') else 'tls'}:// and a host that you trust"
    )


def _is_loopback(address: str) -> bool:
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Sweep(Params):
    """A grid of runs in parallel: every phase x size x depth x bias x seed, each run once and kept in the notebook."""

    phases: Phases = Field(list(PHASES))  # type: ignore[arg-type]
    system_sizes: Annotated[list[SystemSize], _List, _Distinct] = Field(
        [16, 32], min_length=1, max_length=64, description="Sizes of the grid, in qubits.", examples=[[16, 32]]
    )
    depths: Annotated[list[Depth], _List, _Distinct] = Field(
        [4, 8], min_length=1, max_length=32, description="Depths of the grid, in layers.", examples=[[4, 8]]
    )
    biases: Annotated[list[Annotated[float, Field(ge=0, le=1), Whole, AfterValidator(_unsigned)]], _List, _Distinct] = (
        Field([DEFAULT_BIAS], min_length=1, max_length=101, description="Biases of the grid.", examples=[[0.65]])
    )
    seeds: Annotated[int, Whole] = Field(
        10, ge=1, le=LARGEST_SWEEP, description="How many seeds of each point.", examples=[10]
    )
    first_seed: Seed = 0
    shots: Shots = 0
    sector: Sector = "mixture"

    @property
    def total(self) -> int:
        """How many runs the grid has."""
        biases = sum(len(self.biases_of(phase)) for phase in self.phases)
        return biases * len(self.system_sizes) * len(self.depths) * self.seeds

    def biases_of(self, phase: str) -> list[float]:
        """The biases at which a phase runs: one if it has no sectors, since the bias then changes nothing."""
        return self.biases if phase in PHASES_WITH_SECTORS else self.biases[:1]

    @property
    def seconds(self) -> float:
        """The estimated CPU seconds of all runs."""
        return sum(
            len(self.biases_of(phase)) * self.seeds * run_seconds(phase, size, depth)
            for phase in self.phases
            for size in self.system_sizes
            for depth in self.depths
        )

    @model_validator(mode="after")
    def _bounded(self) -> Sweep:
        if self.total > LARGEST_SWEEP:
            raise ValueError(
                f"seeds is {self.seeds}, and the grid has {self.total} runs, above the most, {LARGEST_SWEEP}: "
                "choose fewer seeds or a smaller grid"
            )
        if self.first_seed + self.seeds - 1 > SEED_LIMIT:
            raise ValueError(
                f"first_seed is {self.first_seed}, and the last seed would be above the largest, {SEED_LIMIT}: "
                f"choose first_seed up to {SEED_LIMIT - self.seeds + 1}"
            )
        for phase in self.phases:
            size, depth = max(self.system_sizes), max(self.depths)
            refuse_costly(run_seconds(phase, size, depth), size, depth)
        return self


class PersonalSweep(Sweep):
    """A grid of runs in parallel: every phase x size x depth x bias x seed, each run once and kept in the notebook."""

    model_config = ConfigDict(title="Sweep")

    workers: Annotated[int, Whole] = Field(
        0, ge=0, le=64, description="Worker processes, at most one a core; 0 is one a core.", examples=[0, 2]
    )
    cluster: Annotated[str | None, AfterValidator(_encrypted_or_here)] = Field(
        None,
        pattern=r"^(tcp|tls|ws|wss)://[A-Za-z0-9.\-\[\]:_]+$",
        max_length=200,
        description="Address of a Dask scheduler to run on instead of local processes. This process runs code that the "
        "scheduler sends: name trusted hosts only; other machines need tls://.",
        examples=["tcp://127.0.0.1:8786", "tls://scheduler.example:8786"],
    )


class Scientist(Params):
    """The RL scientist: an agent chooses the next experiment, and its reward is compared with random search."""

    reward: Literal["tri", "uncertainty", "divergence"] = Field(
        "tri",
        description="What the agent seeks: TRI, the classifier's uncertainty, or distance from everything seen so far.",
        examples=["tri"],
    )
    agent: Literal["random", "bandit", "ppo"] = Field(
        "bandit",
        description="Random search, a LinUCB bandit, or a policy gradient (PPO; extra 'scientist').",
        examples=["bandit"],
    )
    budget: Annotated[int, Whole] = Field(
        200,
        ge=10,
        le=2000,
        description="Experiments of one trial.",
        examples=[200],
        json_schema_extra={"unit": "experiments"},
    )
    trials: Annotated[int, Whole] = Field(
        10, ge=1, le=50, description="Independent trials, each with its own seed.", examples=[10]
    )
    seed: Seed = 0
