"""replay_drift: the same seed at growing depths, and how fast the fingerprint leaves the first run's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from simulator.batch import Measured, Run, measure_runs, result_of, run_id
from simulator.events import Event
from simulator.experiments.common import answer, finish, tidy
from simulator.fingerprint import distance
from simulator.notebook import Notebook
from simulator.params import ReplayDrift

LEAST_DRIFT = 1e-9


def run(params: ReplayDrift, notebook: Notebook | None = None) -> Iterator[Event]:
    """Drift from the first run at each depth, its growth exponent, and the replay sensitivity index."""
    runs = _runs(params)
    measured = measure_runs(runs)
    if notebook is not None:
        pairs = zip(runs, measured, strict=True)
        notebook.put_many(result_of(one, found) for one, found in pairs if not one.stream)
    yield finish(_answer(params, runs, measured), notebook)


def replay_many(params: Sequence[ReplayDrift]) -> list[dict[str, Any]]:
    """The answer for each set of parameters; a circuit is followed once to its greatest depth."""
    runs = [_runs(one) for one in params]
    measured = iter(measure_runs([run for group in runs for run in group]))
    return [_answer(one, group, [next(measured) for _ in group]) for one, group in zip(params, runs, strict=True)]


def _runs(params: ReplayDrift) -> list[Run]:
    """The runs in order. A depth that comes again has shot noise of its own, told by its stream."""
    depths = [params.base_depth * factor for factor in params.depth_factors]
    return [
        Run(
            params.phase_type,
            params.system_size,
            depth,
            params.seed,
            params.bias,
            params.shots,
            depths[:place].count(depth) if params.shots else 0,
            params.sector,
        )
        for place, depth in enumerate(depths)
    ]


def _answer(params: ReplayDrift, runs: Sequence[Run], measured: Sequence[Measured]) -> dict[str, Any]:
    drifts = [tidy(distance(measured[0].features, one.features)) for one in measured]
    rows = [
        {
            "depth": run.depth,
            "factor": factor,
            "id": run_id(run),
            "features": one.named,
            "drift": drift,
        }
        for run, factor, one, drift in zip(runs, params.depth_factors, measured, drifts, strict=True)
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
