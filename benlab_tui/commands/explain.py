"""`/explain [ID]`: ben-lab explains an experiment; the explanation is kept with it."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.errors import BadArgument
from benlab_tui.registry import command


class ExplainParams(BaseModel):
    """Which experiment."""

    model_config = ConfigDict(extra="forbid")

    experiment_id: str = Field(
        default="", max_length=80, description="an experiment's id; the newest where it is left out"
    )


@command(
    "explain",
    "ask ben-lab to explain an experiment (x on its card)",
    params=ExplainParams,
    positional=("experiment_id",),
    where="console",
    group="Chat",
)
async def explain(context: Any, params: ExplainParams) -> None:
    """Raises BadArgument where the lab has no experiment yet, UnknownExperiment where none has that id."""
    from benlab_tui.control.insight import explain as ask

    await ask(context.screen, await asyncio.to_thread(_result, context.lab, params.experiment_id))


def _result(lab: Any, experiment_id: str) -> dict[str, Any]:
    with lab.notebook() as notebook:
        if experiment_id:
            return notebook.get(experiment_id)
        recent = notebook.recent(1)
    if not recent:
        raise BadArgument("this lab has no experiment yet: run one with /experiment")
    return recent[0]
