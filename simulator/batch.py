"""Many runs at once: runs of one phase and size are followed together, and equal circuits once."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from simulator import features
from simulator.engines.circuit import RANDOM_PHASE, TIME_STEP
from simulator.engines.observables import Observables, from_rows
from simulator.errors import BadParameter
from simulator.fingerprint import FEATURE_NAMES, PHYSICS_VERSION
from simulator.params import (
    DEFAULT_BIAS,
    LARGEST_DEPTH,
    LARGEST_SIZE,
    PHASES,
    PHASES_WITH_SECTORS,
    SEED_LIMIT,
    RunPhase,
)
from simulator.phase_names import full_name
from simulator.summaries import summarise
from simulator.validation import validate

# Parameters that say how a sweep is run, not what it is.
_HOW = frozenset(["workers", "cluster"])


@dataclass(frozen=True, slots=True)
class Run:
    """One circuit and how it is read; `stream` tells the noise of compared runs apart."""

    phase: str
    size: int
    depth: int
    seed: int
    bias: float = DEFAULT_BIAS
    shots: int = 0
    stream: int = 0
    sector: str = "mixture"

    @classmethod
    def of(cls, params: RunPhase, stream: int = 0) -> Run:
        """The run that these parameters ask for."""
        return cls(
            params.phase_type,
            params.system_size,
            params.depth,
            params.seed,
            params.bias,
            params.shots,
            stream,
            params.sector,
        )

    @property
    def alone(self) -> bool:
        """Whether the entropies of one sector alone are asked for; the flip of all spins makes both sectors' equal."""
        return self.sector != "mixture" and self.phase in PHASES_WITH_SECTORS


@dataclass(frozen=True, slots=True)
class Measured:
    """Thirteen features, rounded, and the middle cut's entropy after each layer in bits.

    `correlation_length` is the up sector's, in sites; None with shots, whose noise would decide its sum over distances.
    """

    features: list[float]
    entropy_by_layer: list[float]
    correlation_length: float | None

    @property
    def named(self) -> dict[str, float]:
        """The features by name."""
        return dict(zip(FEATURE_NAMES, self.features, strict=True))


def measure_runs(runs: Sequence[Run], step: float = TIME_STEP) -> list[Measured]:
    """The features of every run, in order. Sizes 4 to 1024 and depths 1 to 1024; batches bound the memory."""
    groups: dict[tuple[str, int, bool], dict[int, dict[int, list[int]]]] = defaultdict(lambda: defaultdict(dict))
    for index, run in enumerate(runs):
        groups[run.phase, run.size, run.alone][run.seed].setdefault(run.depth, []).append(index)
    found: list[Measured | None] = [None] * len(runs)
    for (phase, size, alone), by_seed in groups.items():
        requests = [(seed, sorted(by_depth)) for seed, by_depth in by_seed.items()]
        by_shape: dict[int, list[tuple[int, Observables]]] = defaultdict(list)
        for (seed, depths), rows in zip(requests, observe(phase, size, requests, step, alone=alone), strict=True):
            for depth, row in zip(depths, rows, strict=True):
                by_shape[depth] += [(index, row) for index in by_seed[seed][depth]]
        for members in by_shape.values():
            _read(runs, members, found)
    return [one for one in found if one is not None]


def observe(
    phase: str,
    size: int,
    requests: Sequence[tuple[int, Sequence[int]]],
    step: float = TIME_STEP,
    *,
    alone: bool = False,
) -> list[list[Observables]]:
    """The engine's observables for each request (seed, ascending depths); `alone`: with one sector's entropies."""
    if phase == RANDOM_PHASE:
        from simulator.engines import stabilizer

        return stabilizer.observe(size, requests, alone=alone)
    from simulator.engines import gaussian
    from simulator.engines.threads import single_threaded

    with single_threaded():
        return gaussian.observe(phase, size, requests, step, alone=alone)


def _read(runs: Sequence[Run], members: Sequence[tuple[int, Observables]], found: list[Measured | None]) -> None:
    whole = from_rows([row for _, row in members])
    values = features.mixture(whole, [runs[index].bias for index, _ in members])
    for row, (index, _) in enumerate(members):
        run = runs[index]
        if run.shots:
            values[row] = features.with_shot_noise(values[row], run.shots, _noise_key(run))
    table = features.feature_table(whole, values)
    layers = features.rounded(whole.layer_entropy).tolist()
    lengths = features.correlation_lengths(whole).tolist()
    for (index, _), numbers, entropies, length in zip(members, table.tolist(), layers, lengths, strict=True):
        found[index] = Measured(numbers, entropies, None if runs[index].shots else length)


def _noise_key(run: Run) -> list[int]:
    """The seed of a run's shot noise: what changes the measured state is in it, so that no two runs share noise."""
    bias = run.bias if run.phase in PHASES_WITH_SECTORS else None
    text = json.dumps([run.phase, run.size, run.depth, bias, run.shots])
    return [run.seed, 2, run.stream, int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])]


def run_many(runs: Iterable[RunPhase | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The `run_phase` result of each set of parameters, in order. Raises BadParameter before any work."""
    checked = [validate(RunPhase, run) for run in runs]
    measured = measure_runs([Run.of(params) for params in checked])
    return [phase_result(params, one) for params, one in zip(checked, measured, strict=True)]


def phase_result(params: RunPhase, measured: Measured) -> dict[str, Any]:
    """What `run_phase` answers with."""
    named = measured.named
    return {
        "experiment": "run_phase",
        "experiment_id": experiment_id("run_phase", params),
        "phase_type": params.phase_type,
        "features": named,
        "feature_vector": measured.features,
        "entropy_by_layer": measured.entropy_by_layer,
        "correlation_length": measured.correlation_length,
        "summary": summarise(params, named),
        "params": params.model_dump(),
        "physics_version": PHYSICS_VERSION,
    }


def result_of(run: Run, measured: Measured) -> dict[str, Any]:
    """The `run_phase` result of another experiment's run; its depth or seed may be beyond the API's bounds."""
    params = RunPhase.model_construct(
        phase_type=run.phase,  # type: ignore[arg-type]
        system_size=run.size,
        depth=run.depth,
        seed=run.seed,
        bias=run.bias,
        shots=run.shots,
        sector=run.sector,  # type: ignore[arg-type]
    )
    return phase_result(params, measured)


def experiment_id(experiment: str, params: BaseModel | Mapping[str, Any]) -> str:
    """Sixteen hex digits that name an experiment: a hash of its parameters and the physics version.

    A parameter that changes nothing is left out, so that equal experiments have one id.
    """
    values = params.model_dump() if isinstance(params, BaseModel) else dict(params)
    idle = _HOW | idle_parameters(experiment, values)
    values = {name: value for name, value in values.items() if name not in idle}
    text = json.dumps([experiment, values, PHYSICS_VERSION], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def idle_parameters(experiment: str, values: Mapping[str, Any]) -> frozenset[str]:
    """The parameters that cannot change this experiment's result.

    Without sectors there is nothing to weigh by the bias, and nothing to choose; an echo is that of equal weights.
    """
    phases = [phase for phase in values.get("phases") or [values.get("phase_type")] if phase]
    if phases and PHASES_WITH_SECTORS.isdisjoint(phases):
        return frozenset(["bias", "biases", "sector"])
    return frozenset(["bias"]) if experiment == "echo" else frozenset()


def run_id(run: Run) -> str:
    """The id that `run_phase` gives this run; one of its own where its noise is another stream's."""
    values = {
        "phase_type": run.phase,
        "system_size": run.size,
        "depth": run.depth,
        "seed": run.seed,
        "bias": run.bias,
        "shots": run.shots,
        "sector": run.sector,
    }
    if run.stream:
        return experiment_id("replay", {**values, "stream": run.stream})
    return experiment_id("run_phase", values)


def measure(
    phase_type: str,
    system_size: int = 32,
    depth: int = 8,
    seed: int = 0,
    bias: float = DEFAULT_BIAS,
    step: float = TIME_STEP,
) -> dict[str, float]:
    """The features of one run beyond the experiments' bounds: 4 to 1024 qubits, 1 to 1024 layers, any time step.

    It needs about 120 MB at 1024 qubits and 15 MB at 256, and 130 MB more once for the Clifford tables;
    batches are split so that they hold little more than their largest run. Raises BadParameter.
    """
    _within("system_size", system_size, 4, LARGEST_SIZE, whole=True)
    _within("depth", depth, 1, LARGEST_DEPTH, whole=True)
    _within("seed", seed, 0, SEED_LIMIT, whole=True)
    _within("bias", bias, 0.0, 1.0)
    _within("step", step, 1e-6, 10.0)
    phase_type = full_name(phase_type)
    if phase_type not in PHASES:
        raise BadParameter(
            f"phase_type is {str(phase_type)[:60]!r}, which is no phase: choose one of {', '.join(PHASES)}",
            "phase_type",
        )
    return measure_runs([Run(phase_type, system_size, depth, seed, bias)], step)[0].named


def _within(name: str, value: Any, low: float, high: float, *, whole: bool = False) -> None:
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise BadParameter(
            f"{name} is {str(value)[:60]!r}, which is no number of the right kind: choose {low:g} to {high:g}", name
        )
    if not low <= value <= high:
        side = "above the largest" if value > high else "below the smallest"
        bound = high if value > high else low
        raise BadParameter(f"{name} is {str(value)[:40]}, {side}, {bound}: choose {low} to {high}", name)
