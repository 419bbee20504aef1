"""tri: Time-Reversal Instability, the distance between the runs at bias and at 1 - bias.

The name is the lab's. Nothing is reversed in time: both runs go forward through the same circuit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from simulator.batch import Measured, Run, measure_runs
from simulator.events import Event
from simulator.experiments.common import answer, finish, tidy
from simulator.fingerprint import differences, distance
from simulator.notebook import Notebook
from simulator.params import Tri

_FLOOR_PAIRS = 16


def run(params: Tri, notebook: Notebook | None = None) -> Iterator[Event]:
    """TRI, both fingerprints, the part each feature has in it, and with shots the noise floor."""
    yield finish(tri_many([params])[0], notebook)


def tri_many(params: Sequence[Tri]) -> list[dict[str, Any]]:
    """The answer for each set of parameters; circuits are followed together, each once for both biases."""
    groups = [[*_halves(one), *_repeats(one)] for one in params]
    measured = iter(measure_runs([run for group in groups for run in group]))
    return [_answer(one, [next(measured) for _ in group]) for one, group in zip(params, groups, strict=True)]


def _halves(params: Tri) -> tuple[Run, Run]:
    forward = Run.of(params)
    return forward, replace(forward, bias=1.0 - params.bias, stream=1)


def _repeats(params: Tri) -> list[Run]:
    """Pairs of readings of the forward run, each with shot noise of its own."""
    streams = range(2, 2 + 2 * _FLOOR_PAIRS) if params.shots else ()
    return [Run.of(params, stream) for stream in streams]


def noise_floor(readings: Sequence[Measured]) -> float:
    """Return the mean distance between two readings of one run; 0 without any, for exact runs have no noise."""
    pairs = list(zip(readings[::2], readings[1::2], strict=True))
    return tidy(sum(distance(one.features, other.features) for one, other in pairs) / len(pairs)) if pairs else 0.0


def _answer(params: Tri, measured: Sequence[Measured]) -> dict[str, Any]:
    forward, reverse, *readings = measured
    floor = noise_floor(readings)
    apart = differences(forward.features, reverse.features)
    index = tidy(distance(forward.features, reverse.features))
    contributions = {name: tidy(abs(value)) for name, value in apart.items()}
    carried = sorted(
        (name for name, value in contributions.items() if value > 0), key=lambda name: -contributions[name]
    )
    told = f"carried by {', '.join(carried[:3])}" if carried else "no feature differs"
    if params.shots:
        told += f"; noise floor {floor:.3f} at {params.shots} shots"
    return answer(
        "tri",
        params,
        {
            "phase_type": params.phase_type,
            "TRI": index,
            "noise_floor": floor,
            "forward_features": forward.named,
            "reverse_features": reverse.named,
            "contributions": contributions,
            "feature_vector": forward.features,
            "summary": (
                f"{params.phase_type}, {params.system_size} qubits, {params.depth} layers, seed {params.seed}: "
                f"TRI {index:.3f} between bias {params.bias:g} and {1 - params.bias:g}, {told}."
            ),
        },
    )
