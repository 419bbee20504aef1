"""replay_drift: the same seed at growing depths, and how fast the fingerprint leaves the first run's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from simulator.batch import Measured, Run, experiment_id, measure_runs
from simulator.events import Event
from simulator.experiments.common import answer, finish, tidy
from simulator.fingerprint import distance
from simulator.notebook import Notebook
from simulator.params import ReplayDrift

LEAST_DRIFT = 1e-9


def run(params: ReplayDrift, notebook: Notebook | None = None) -> Iterator[Event]:
    """Drift from the first run at each depth, its growth exponent, and the replay sensitivity index."""
    yield finish(replay_many([params])[0], notebook)


def replay_many(params: Sequence[ReplayDrift]) -> list[dict[str, Any]]:
    """The answer for each set of parameters; a circuit is followed once to its greatest depth."""
    runs = [depth for one in params for depth in _runs(one)]
    measured = iter(measure_runs(runs))
    return [_answer(one, [next(measured) for _ in one.depth_factors]) for one in params]


def _runs(params: ReplayDrift) -> list[Run]:
    return [
        Run(
            params.phase_type,
            params.system_size,
            params.base_depth * factor,
            params.seed,
            params.bias,
            params.shots,
            stream,
        )
        for stream, factor in enumerate(params.depth_factors)
    ]


def _answer(params: ReplayDrift, measured: Sequence[Measured]) -> dict[str, Any]:
    drifts = [tidy(distance(measured[0].features, one.features)) for one in measured]
    rows = [
        {
            "depth": params.base_depth * factor,
            "factor": factor,
            "id": _run_id(params, params.base_depth * factor),
            "features": one.named,
            "drift": drift,
        }
        for factor, one, drift in zip(params.depth_factors, measured, drifts, strict=True)
    ]
    exponent = growth_exponent(params.depth_factors, drifts)
    rates = [drift / (factor - 1) for factor, drift in zip(params.depth_factors, drifts, strict=True) if factor > 1]
    index = tidy(sum(rates) / len(rates)) if rates else None
    growth = "no growth exponent" if exponent is None else f"growth exponent {exponent:.3f}"
    told = "no factor above 1" if index is None else f"replay sensitivity index {index:.3f}"
    return answer(
        "replay_drift",
        params,
        {
            "phase_type": params.phase_type,
            "runs": rows,
            "growth_exponent": exponent,
            "replay_sensitivity_index": index,
            "feature_vector": measured[0].features,
            "summary": (
                f"{params.phase_type}, {params.system_size} qubits, base depth {params.base_depth}: "
                f"drift up to {max(drifts):.3f}, {growth}, {told}."
            ),
        },
    )


def _run_id(params: ReplayDrift, depth: int) -> str:
    """The id that `run_phase` would give this run."""
    shared = params.model_dump(include={"phase_type", "system_size", "seed", "bias", "shots"})
    return experiment_id("run_phase", {**shared, "depth": depth})


def growth_exponent(factors: Sequence[int], drifts: Sequence[float]) -> float | None:
    """Least-squares slope of log drift on log factor; null where two different factors do not give one."""
    points = [
        (math.log(factor), math.log(drift))
        for factor, drift in zip(factors, drifts, strict=True)
        if factor > 1 and drift > LEAST_DRIFT
    ]
    if len({x for x, _ in points}) < 2:
        return None
    centre_x = sum(x for x, _ in points) / len(points)
    centre_y = sum(y for _, y in points) / len(points)
    slope = sum((x - centre_x) * (y - centre_y) for x, y in points) / sum((x - centre_x) ** 2 for x, _ in points)
    return tidy(slope)
