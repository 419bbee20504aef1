"""The parameters of every experiment: bounds, units, help and examples, declared once.

The slash parser, the command line, the Lab API and the chat model's tool schema
are all derived from these models. Text is taken where a number or a list is
wanted ("8", "1,2,4"), so that typed commands need no parser of their own; the
Lab API makes the same models strict.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from simulator.cost import refuse_costly, run_seconds
from simulator.phase_names import PHASES, PhaseName

DEFAULT_BIAS = 0.65
PHASES_WITH_SECTORS = frozenset(("ising_symmetry_breaking", "pseudorandom"))
LARGEST_SIZE = 1024
LARGEST_DEPTH = 1024
LARGEST_SWEEP = 200_000
SEED_LIMIT = 2**32 - 1


def _whole(value: Any) -> Any:
    """Refuses true and false where a number is wanted: pydantic would take them for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("true and false are not numbers")
    return value


def _bias(value: Any) -> Any:
    return DEFAULT_BIAS if value is None else _whole(value)


def _items(value: Any, info: ValidationInfo) -> Any:
    """`1,2,4` as a list where the model is not strict; a single item as a list of one."""
    if (info.config or {}).get("strict"):
        return value
    if isinstance(value, str):
        return [item.strip() for item in value.strip().strip("[]").split(",") if item.strip()]
    return [value] if isinstance(value, int | float) else value


def _unsigned(value: float) -> float:
    """No negative zero: it is the same number and must have the same id."""
    return value + 0.0


def _in_order(value: list[Any]) -> list[Any]:
    """Phases in their own order: a set of phases is one experiment however it is written."""
    return sorted(value, key=PHASES.index)


def _distinct(value: list[Any]) -> list[Any]:
    if len(set(value)) != len(value):
        raise ValueError("every item may stand in the list once")
    return value


Whole = BeforeValidator(_whole)
SHORT = "ising, spt (or cluster), trivial (or product) and random are accepted as short names"
PhaseType = Annotated[
    PhaseName,
    Field(
        description=f"The phase of matter to simulate; {SHORT}.", examples=["ising_symmetry_breaking", "spt_cluster"]
    ),
]
SystemSize = Annotated[
    int,
    Field(
        ge=4,
        le=LARGEST_SIZE,
        description="Qubits in the open chain.",
        examples=[32],
        json_schema_extra={"unit": "qubits"},
    ),
    Whole,
]
Depth = Annotated[
    int,
    Field(ge=1, le=LARGEST_DEPTH, description="Circuit layers.", examples=[8], json_schema_extra={"unit": "layers"}),
    Whole,
]
Seed = Annotated[
    int,
    Field(
        ge=0,
        le=SEED_LIMIT,
        description="Seed of the disorder or of the random gates; fixes every number.",
        examples=[3],
    ),
    Whole,
]
Bias = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="Probability of the all-up sector (Ising) or of all-0 (pseudorandom) at the start.",
        examples=[0.7],
    ),
    BeforeValidator(_bias),
    AfterValidator(_unsigned),
]
Shots = Annotated[
    int,
    Field(
        ge=0,
        le=10_000_000,
        description="Adds the sampling noise of that many measurements to expectation values; 0 is exact. "
        "What is reported without its sign (zz_long, string_order) then lies about 0.8/sqrt(shots) above zero.",
        examples=[0, 1000],
        json_schema_extra={"unit": "measurements"},
    ),
    Whole,
]
Sector = Annotated[
    Literal["mixture", "up", "down"],
    Field(
        description="Whose entropies are reported: mixture is the whole start at equal weights, which in the Ising "
        "phase counts one bit for the two sectors; up and down are one sector's own. Other features do not change.",
        examples=["mixture", "up"],
    ),
]
Phases = Annotated[
    list[PhaseName],
    BeforeValidator(_items),
    AfterValidator(_distinct),
    AfterValidator(_in_order),
    Field(min_length=1, max_length=4, description=f"The phases to use; {SHORT}.", examples=[list(PHASES)]),
]


class Params(BaseModel):
    """What all parameter models share: no unknown names, no infinities, frozen once made."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class RunPhase(Params):
    """One circuit in one phase: its thirteen features and the entropy after each layer."""

    phase_type: PhaseType
    system_size: SystemSize = 32
    depth: Depth = 8
    seed: Seed = 0
    bias: Bias = DEFAULT_BIAS
    shots: Shots = 0
    sector: Sector = "mixture"

    @model_validator(mode="after")
    def _affordable(self) -> RunPhase:
        refuse_costly(run_seconds(self.phase_type, self.system_size, self.depth), self.system_size, self.depth)
        return self


class Tri(RunPhase):
    """Time-Reversal Instability: the distance of the runs at `bias` and at 1 - `bias`; nothing is reversed in time."""


class Echo(Params):
    """Loschmidt echo: through the circuit and back through an imperfect inverse of it."""

    phase_type: PhaseType
    system_size: SystemSize = 32
    depth: Depth = 8
    seed: Seed = 0
    bias: Bias = DEFAULT_BIAS
    delta: Annotated[float, Whole, AfterValidator(_unsigned)] = Field(
        0.05,
        ge=0,
        le=1,
        description="Error of the way back: couplings times 1 - delta; each Clifford gate left out with this chance.",
        examples=[0.05],
    )

    @model_validator(mode="after")
    def _affordable(self) -> Echo:
        refuse_costly(run_seconds(self.phase_type, self.system_size, self.depth), self.system_size, self.depth)
        return self


class ReplayDrift(Params):
    """The same seed at growing depths: how far the fingerprint drifts from the first run's."""

    phase_type: PhaseType
    system_size: SystemSize = 32
    base_depth: Annotated[int, Whole] = Field(
        4, ge=1, le=LARGEST_DEPTH, description="Depth at factor 1.", examples=[4], json_schema_extra={"unit": "layers"}
    )
    depth_factors: Annotated[
        list[Annotated[int, Field(ge=1, le=LARGEST_DEPTH), Whole]],
        BeforeValidator(_items),
    ] = Field(
        [1, 2, 4, 8],
        min_length=1,
        max_length=16,
        description="The depth of run j is base_depth times factor j; the product is at most 1024.",
        examples=[[1, 2, 4, 8]],
    )
    seed: Seed = 0
    bias: Bias = DEFAULT_BIAS
    shots: Shots = 0
    sector: Sector = "mixture"

    @model_validator(mode="after")
    def _deep(self) -> ReplayDrift:
        for factor in self.depth_factors:
            if self.base_depth * factor > LARGEST_DEPTH:
                raise ValueError(
                    f"depth_factors has {factor}, and {self.base_depth} x {factor} layers are above the largest depth, "
                    f"{LARGEST_DEPTH}: choose factors up to {LARGEST_DEPTH // self.base_depth}"
                )
        depths = [self.base_depth * factor for factor in self.depth_factors]
        seconds = sum(run_seconds(self.phase_type, self.system_size, depth) for depth in depths)
        refuse_costly(seconds, self.system_size, max(depths))
        return self


class Discovery(Params):
    """Unsupervised phase discovery: k-means on the fingerprints of many runs."""

    phases: Phases = Field(list(PHASES))  # type: ignore[arg-type]
    num_per_phase: Annotated[int, Whole] = Field(20, ge=5, le=100, description="Runs of each phase.", examples=[20, 30])
    k: Annotated[int, Whole] = Field(4, ge=2, le=10, description="Clusters to look for.", examples=[4])
    iterations: Annotated[int, Whole] = Field(
        50, ge=10, le=100, description="The most k-means iterations of one start.", examples=[50]
    )
    system_size: SystemSize = 32
    depth: Depth = 8
    bias: Bias = DEFAULT_BIAS
    seed: Seed = Field(0, description="Run j of a phase uses seed 1000 x this + j.")
    shots: Shots = 0
    sector: Sector = "mixture"

    @model_validator(mode="after")
    def _enough(self) -> Discovery:
        samples = len(self.phases) * self.num_per_phase
        if self.k > samples:
            raise ValueError(
                f"k is {self.k}, above the number of samples, {samples}: choose k up to {samples}, or more runs a phase"
            )
        seconds = sum(self.num_per_phase * run_seconds(phase, self.system_size, self.depth) for phase in self.phases)
        refuse_costly(seconds, self.system_size, self.depth)
        return self


class Classify(Params):
    """Which phase is it? From an experiment id, from thirteen features, or from parameters to run."""

    experiment_id: str | None = Field(
        None,
        min_length=1,
        max_length=80,
        pattern=r"^[0-9A-Za-z._-]+$",
        description="The id of a stored run.",
        examples=["3f6a0c2d9e4b7a15"],
    )
    features: Annotated[list[Annotated[float, Whole]] | None, BeforeValidator(_items)] = Field(
        None,
        min_length=13,
        max_length=13,
        description="The thirteen features in their fixed order.",
        examples=[[0.0] * 13],
    )
    phase_type: PhaseName | None = Field(
        None, description=f"Runs this phase and classifies the result; {SHORT}.", examples=["spt_cluster"]
    )
    system_size: SystemSize = 32
    depth: Depth = 8
    seed: Seed = 0
    bias: Bias = DEFAULT_BIAS
    shots: Shots = 0

    @model_validator(mode="after")
    def _one_source(self) -> Classify:
        given = [name for name in ("experiment_id", "features", "phase_type") if getattr(self, name) is not None]
        if len(given) != 1:
            said = f"{' and '.join(given) or 'nothing'} {'are' if len(given) > 1 else 'is'} given to classify"
            raise ValueError(f"{said}, and exactly one source is needed: give experiment_id, features or phase_type")
        settings = ("system_size", "depth", "seed", "bias", "shots")
        defaults = type(self).model_fields
        if self.phase_type is None and (
            idle := [name for name in settings if getattr(self, name) != defaults[name].default]
        ):
            raise ValueError(
                f"{' and '.join(idle)} would change nothing beside {given[0]}: leave it out, or give phase_type"
            )
        if self.phase_type is not None:
            refuse_costly(run_seconds(self.phase_type, self.system_size, self.depth), self.system_size, self.depth)
        return self
