"""The shapes of requests and answers, for validation and for the OpenAPI document.

Requests are the simulator's own parameter models made strict: JSON has numbers, so
text is not taken for one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import CoreSchema

from simulator import params
from simulator.catalogue import EXPERIMENTS

LEGACY_PATHS = {"run_phase": "/run_phase_experiment"}


def path_of(name: str) -> str:
    """The route of an experiment; existing clients know `run_phase` by a longer name."""
    return LEGACY_PATHS.get(name, f"/{name}")


def strict(model: type[BaseModel]) -> type[BaseModel]:
    """The model as the API takes it: no text for numbers, and `bias` may be null."""

    def schema(cls: type[BaseModel], core: CoreSchema, handler: Any) -> dict[str, Any]:
        known: dict[str, Any] = handler(core)
        inner = handler.resolve_ref_schema(known)
        bias = inner.get("properties", {}).get("bias")
        if bias and bias.get("type") == "number":
            bias["type"] = ["number", "null"]
        return known

    body: dict[str, Any] = {
        "__module__": __name__,
        "__doc__": model.__doc__,
        "model_config": ConfigDict(strict=True),
        "__get_pydantic_json_schema__": classmethod(schema),
    }
    metaclass: Any = type(model)
    made: type[BaseModel] = metaclass(model.__name__, (model,), body)
    return made


LARGEST_SIZE, LARGEST_DEPTH = 256, 32
"""The bounds of the guide's four routes, as existing clients of the lab know them."""
ApiSize = Annotated[
    int,
    Field(
        ge=4,
        le=LARGEST_SIZE,
        description="Qubits in the open chain.",
        examples=[32],
        json_schema_extra={"unit": "qubits"},
    ),
    params.Whole,
]
ApiDepth = Annotated[
    int,
    Field(ge=1, le=LARGEST_DEPTH, description="Circuit layers.", examples=[8], json_schema_extra={"unit": "layers"}),
    params.Whole,
]


class RunPhase(params.RunPhase):
    """One circuit in one phase: its thirteen features and the entropy after each layer."""

    system_size: ApiSize = 32
    depth: ApiDepth = 8


class Tri(params.Tri):
    """Time-Reversal Instability: the distance between the runs at `bias` and at 1 - `bias`."""

    system_size: ApiSize = 32
    depth: ApiDepth = 8


class Discovery(params.Discovery):
    """Unsupervised phase discovery: k-means on the fingerprints of many runs."""

    system_size: ApiSize = 32
    depth: ApiDepth = 8


class ReplayDrift(params.ReplayDrift):
    """The same seed at growing depths: how far the fingerprint drifts from the first run's."""

    system_size: ApiSize = 32
    base_depth: ApiDepth = 4


_NARROW: dict[str, type[BaseModel]] = {
    "run_phase": RunPhase,
    "tri": Tri,
    "discovery": Discovery,
    "replay_drift": ReplayDrift,
}
REQUESTS: dict[str, type[BaseModel]] = {
    name: strict(_NARROW.get(name, entry.public)) for name, entry in EXPERIMENTS.items()
}


POSTS = frozenset(
    ["/api/generate", "/api/chat", *(path_of(name) + suffix for name in EXPERIMENTS for suffix in ("", "/stream"))]
)


class Answer(BaseModel):
    """What every experiment's answer holds."""

    model_config = ConfigDict(extra="allow")

    experiment: str
    experiment_id: str
    summary: str
    params: dict[str, Any]
    physics_version: str


class PhaseAnswer(Answer):
    """One run: thirteen features by name and in order, the middle cut's entropy after each layer in bits, and the up
    sector's correlation length in sites (null with shots)."""

    phase_type: str
    features: dict[str, float]
    feature_vector: list[float] = Field(min_length=13, max_length=13)
    entropy_by_layer: list[float] = Field(
        description="In bits; if the phase starts in two sectors, up to one bit is the choice between them."
    )
    correlation_length: float | None


class TriAnswer(Answer):
    """TRI, the distance between the fingerprints at `bias` and at 1 - `bias`; nothing is reversed in time."""

    phase_type: str
    TRI: float
    noise_floor: float = Field(
        description="The mean distance between two readings of the run at `bias` at these shots; 0 without shots."
    )
    forward_features: dict[str, float] = Field(description="The run at `bias`.")
    reverse_features: dict[str, float] = Field(description="The run at 1 - `bias`.")
    contributions: dict[str, float] = Field(description="Each feature's difference, in units of its scale.")


class EchoPoint(BaseModel):
    """The echo of the circuit's first layers."""

    depth: int
    echo: float


class EchoAnswer(Answer):
    """Loschmidt echo, and its loss in bits per site (null where the echo is 0)."""

    phase_type: str
    echo: float
    bits_per_site: float | None
    by_depth: list[EchoPoint]


class DriftRun(BaseModel):
    """One replay."""

    depth: int
    factor: int
    id: str
    features: dict[str, float]
    drift: float


class DriftAnswer(Answer):
    """Drift at each depth, its growth exponent and the sensitivity index (null where they do not exist)."""

    phase_type: str
    runs: list[DriftRun]
    growth_exponent: float | None
    replay_sensitivity_index: float | None


class Cluster(BaseModel):
    """One cluster; `centre` is its mean fingerprint."""

    cluster: int
    size: int
    phases: dict[str, int]
    majority: str
    majority_count: int
    purity: float
    centre: dict[str, float]


class DiscoveryAnswer(Answer):
    """Each cluster's number of runs by phase, the clusters in detail, and the points in the plane of two components."""

    cluster_label_stats: list[dict[str, int]]
    clusters: list[Cluster]
    num_samples: int
    num_clusters: int
    purity: float
    adjusted_rand_index: float
    normalized_mutual_information: float
    points: list[dict[str, Any]]


class ClassifyAnswer(Answer):
    """The likeliest phase, or `unknown` if `novelty` is above 1, and the four probabilities if it is one of them."""

    phase_type: str
    novelty: float
    probability: float
    probabilities: dict[str, float]


ANSWERS: dict[str, type[BaseModel]] = {
    "run_phase": PhaseAnswer,
    "tri": TriAnswer,
    "echo": EchoAnswer,
    "replay_drift": DriftAnswer,
    "discovery": DiscoveryAnswer,
    "classify": ClassifyAnswer,
}


class Index(BaseModel):
    """The front page."""

    name: str
    version: str
    docs: str
    routes: dict[str, str]


class Health(BaseModel):
    """Whether the lab answers, and how busy it is."""

    status: str
    physics_version: str
    running: int
    waiting: int


class Sentence(BaseModel):
    """An error in one sentence."""

    detail: str


class FieldError(BaseModel):
    """One bad field: where it is, and what to do."""

    loc: list[str | int]
    msg: str
    type: str


class FieldErrors(BaseModel):
    """Bad input."""

    detail: list[FieldError]


class GenerateOptions(BaseModel):
    """Ollama's decoding options that a lab's engines know; others are passed over, as Ollama does."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    num_predict: int | None = Field(default=None, ge=1, le=32_768, description="the answer's greatest length (tokens)")
    temperature: float | None = Field(default=None, ge=0, le=10)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=1, le=1_000)
    min_p: float | None = Field(default=None, ge=0, le=1)
    typical_p: float | None = Field(default=None, gt=0, le=1)
    repeat_penalty: float | None = Field(default=None, gt=0, le=10)
    repeat_last_n: int | None = Field(default=None, ge=-1, le=32_768)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)


class GenerateRequest(BaseModel):
    """Ollama's request of one prompt; `stream` is true unless it is false."""

    model_config = ConfigDict(strict=True, extra="ignore")

    model: str = Field("ben-lab", pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$", examples=["ben-lab"])
    prompt: str = Field(min_length=1, max_length=32_000, examples=["What does TRI measure?"])
    system: str | None = Field(None, max_length=8_000)
    stream: bool = True
    rag: bool | None = Field(
        None, description="Draw on the lab's passages and cite them; null follows `benlab rag on` or `off`."
    )
    options: GenerateOptions = Field(default_factory=GenerateOptions)

    @field_validator("model")
    @classmethod
    def _local(cls, value: str) -> str:
        if value.startswith("url:"):
            raise ValueError("models of other servers are not passed on: name one of this lab")
        return value

    @field_validator("prompt", "system")
    @classmethod
    def _text(cls, value: str | None) -> str | None:
        if value is not None and any(0xD800 <= ord(char) <= 0xDFFF for char in value):
            raise ValueError("half a surrogate pair is no text: send valid Unicode")
        return value

    def turns(self) -> list[tuple[str, str]]:
        """The system prompt and the prompt, as (role, text)."""
        return [*([("system", self.system)] if self.system else []), ("user", self.prompt)]


class ChatTurn(BaseModel):
    """One message; a `tool` message is a result that an earlier answer told."""

    model_config = ConfigDict(strict=True, extra="ignore")

    role: Literal["system", "user", "assistant", "tool"]
    content: str = Field("", max_length=32_000)

    @field_validator("content")
    @classmethod
    def _valid(cls, value: str) -> str:
        if any(0xD800 <= ord(char) <= 0xDFFF for char in value):
            raise ValueError("half a surrogate pair is no text: send valid Unicode")
        return value


class ChatRequest(BaseModel):
    """Ollama's request of a conversation; the lab runs its own experiments, so `tools` stays out."""

    model_config = ConfigDict(strict=True, extra="ignore")

    model: str = Field("ben-lab", pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$", examples=["ben-lab"])
    messages: list[ChatTurn] = Field(
        min_length=1, max_length=200, examples=[[{"role": "user", "content": "Run a cluster chain of 48 sites."}]]
    )
    tools: list[dict[str, Any]] = Field(default_factory=list, max_length=0)
    stream: bool = True
    options: GenerateOptions = Field(default_factory=GenerateOptions)

    @field_validator("model")
    @classmethod
    def _local(cls, value: str) -> str:
        if value.startswith("url:"):
            raise ValueError("models of other servers are not passed on: name one of this lab")
        return value

    @model_validator(mode="after")
    def _asks(self) -> ChatRequest:
        if self.messages[-1].role != "user" or not self.messages[-1].content.strip():
            raise ValueError("messages ends without a question: let the last one be a user message with text")
        return self

    def turns(self) -> list[tuple[str, str]]:
        """The messages as (role, text)."""
        return [(message.role, message.content) for message in self.messages]


class ChatAnswer(BaseModel):
    """Ollama's answer of a conversation; one line of it a piece if it streams."""

    model: str
    created_at: str
    message: ChatTurn
    done: bool
    done_reason: str | None = None
    verified: list[dict[str, Any]] | None = None
    runs: list[str] | None = None
    sources: list[str] | None = Field(None, description="What the answer drew on, in the order of its [1], [2], …")


class GenerateAnswer(BaseModel):
    """Ollama's answer; one line of it a piece where it streams."""

    model: str
    created_at: str
    response: str
    done: bool
    done_reason: str | None = None
    verified: list[dict[str, Any]] | None = None
    runs: list[str] | None = None
