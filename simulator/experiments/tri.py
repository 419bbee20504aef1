"""tri: Time-Reversal Instability, the distance between the runs at bias and at 1 - bias."""

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


def run(params: Tri, notebook: Notebook | None = None) -> Iterator[Event]:
    """TRI, both fingerprints, and the part each feature has in it."""
    yield finish(tri_many([params])[0], notebook)


def tri_many(params: Sequence[Tri]) -> list[dict[str, Any]]:
    """The answer for each set of parameters; circuits are followed together, each once for both biases."""
    runs = [half for one in params for half in _halves(one)]
    measured = measure_runs(runs)
    pairs = zip(measured[::2], measured[1::2], strict=True)
    return [_answer(one, forward, reverse) for one, (forward, reverse) in zip(params, pairs, strict=True)]


def _halves(params: Tri) -> tuple[Run, Run]:
    forward = Run.of(params)
    return forward, replace(forward, bias=1.0 - params.bias, stream=1)


def _answer(params: Tri, forward: Measured, reverse: Measured) -> dict[str, Any]:
    apart = differences(forward.features, reverse.features)
    index = tidy(distance(forward.features, reverse.features))
    contributions = {name: tidy(abs(value)) for name, value in apart.items()}
    carried = sorted(
        (name for name, value in contributions.items() if value > 0), key=lambda name: -contributions[name]
    )
    told = f"carried by {', '.join(carried[:3])}" if carried else "no feature differs"
    return answer(
        "tri",
        params,
        {
            "phase_type": params.phase_type,
            "TRI": index,
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
