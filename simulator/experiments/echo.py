"""echo: the Loschmidt echo, through the circuit and back through an imperfect inverse of it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from simulator.engines.circuit import RANDOM_PHASE
from simulator.events import Event
from simulator.experiments.common import answer, finish, tidy
from simulator.notebook import Notebook
from simulator.params import Echo


def run(params: Echo, notebook: Notebook | None = None) -> Iterator[Event]:
    """L = |<psi0|psi>|**2 and -log2(L)/n in bits per site; the rate is null where L is exactly 0.

    `by_depth` is the echo of the circuit's first 1, 2, 4, … layers, and of all.
    """
    depths = [depth for depth in (2**power for power in range(10)) if depth < params.depth]
    logs = [log_echo(params.model_copy(update={"depth": depth})) for depth in (*depths, params.depth)]
    log = logs[-1]
    vanished = math.isinf(log)
    value = 0.0 if vanished else 2.0**log
    rate = None if vanished else tidy(-log / params.system_size)
    told = "the echo vanishes" if rate is None else f"echo {value:.4g}, lost at {rate:.4f} bits per site"
    yield finish(
        answer(
            "echo",
            params,
            {
                "phase_type": params.phase_type,
                "echo": tidy(value),
                "bits_per_site": rate,
                "by_depth": [
                    {"depth": depth, "echo": tidy(2.0**one)}
                    for depth, one in zip((*depths, params.depth), logs, strict=True)
                ],
                "summary": (
                    f"{params.phase_type}, {params.system_size} qubits, {params.depth} layers, seed {params.seed}, "
                    f"delta {params.delta:g}: {told}."
                ),
            },
        ),
        notebook,
    )


def log_echo(params: Echo) -> float:
    """log2 L; minus infinity where L is 0."""
    if params.phase_type == RANDOM_PHASE:
        from simulator.engines import stabilizer

        return stabilizer.echo(params.system_size, params.depth, params.seed, params.delta)
    from simulator.engines import gaussian
    from simulator.engines.threads import single_threaded

    with single_threaded():
        return float(gaussian.echo(params.phase_type, params.system_size, params.depth, [params.seed], params.delta)[0])
