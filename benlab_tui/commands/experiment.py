"""`experiment NAME …`: one experiment on the exact simulator."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

import simulator
from benlab_tui.context import Context
from benlab_tui.quick import run_quick
from benlab_tui.registry import Value, command
from simulator.events import Note


def _variants() -> Mapping[str, type[BaseModel]]:
    return {name: experiment.params for name, experiment in simulator.EXPERIMENTS.items()}


@command(
    "experiment",
    "run a quantum-phase experiment on the exact simulator",
    variants=_variants,
    examples=(
        "experiment run_phase phase_type=spt_cluster system_size=32 depth=8 seed=3",
        "experiment tri phase_type=ising_symmetry_breaking bias=0.9",
        "experiment discovery num_per_phase=30",
    ),
)
async def experiment(context: Context, params: tuple[str, BaseModel]) -> Value:
    """Quick experiments run in a thread, those that are estimated to take longer as a job."""
    from simulator.cost import PATIENCE_SECONDS, duration, experiment_seconds

    name, values = params
    seconds = experiment_seconds(values)
    if seconds > PATIENCE_SECONDS:
        await context.emit(Note(f"{name} is estimated to take about {duration(seconds)} of compute"))
    elif simulator.EXPERIMENTS[name].quick:
        return await run_quick(context, name, values)
    return await context.job("experiment", {"name": name, "params": values.model_dump(mode="json")})
