"""The stages that run as child processes: a name, its parameters, and the generator that does the work.

Both are named by where they stand and imported when first used, so that the list costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipeline.errors import BadInput

if TYPE_CHECKING:
    from pydantic import BaseModel

    from pipeline.lab import Lab
    from simulator.events import Event


@dataclass(frozen=True, slots=True)
class Stage:
    """`params` and `run` are `module:name`."""

    name: str
    params: str
    run: str
    summary: str

    def params_model(self) -> type[BaseModel]:
        """The pydantic model of the stage's parameters."""
        return _load(self.params)

    def runner(self) -> Callable[[Lab, Any], Iterator[Event]]:
        """The generator function `run(lab, params)`."""
        return _load(self.run)


_ALL = (
    Stage("pull", "pipeline.bases.params:PullParams", "pipeline.bases.pull:run", "fetch a base model"),
    Stage(
        "generate",
        "pipeline.data.params:GenerateParams",
        "pipeline.data.generate:run",
        "turn experiments into training data",
    ),
    Stage(
        "check", "pipeline.data.params:CheckParams", "pipeline.data.check:run", "re-run every claim of a training file"
    ),
    Stage(
        "train", "pipeline.train.params:TrainParams", "pipeline.train.stage:run", "LoRA-fine-tune the base on the data"
    ),
    Stage(
        "eval",
        "pipeline.evaluate.params:EvalParams",
        "pipeline.evaluate.stage:run",
        "score base and tuned on questions that the simulator grades",
    ),
    Stage(
        "export",
        "pipeline.export.params:ExportParams",
        "pipeline.export.stage:run",
        "write the adapter or model as GGUF",
    ),
    Stage(
        "install",
        "pipeline.install.params:InstallParams",
        "pipeline.install.stage:run",
        "install ben-lab, embedded or in Ollama, with a receipt",
    ),
    Stage(
        "loop",
        "pipeline.loop.params:LoopParams",
        "pipeline.loop.stage:run",
        "the whole loop, from experiments to an answer",
    ),
    Stage("serve", "pipeline.api.params:ServeParams", "pipeline.api.stage:run", "serve the Lab API over HTTP"),
    Stage(
        "experiment",
        "pipeline.experiment:ExperimentParams",
        "pipeline.experiment:run",
        "run one experiment of the simulator",
    ),
    Stage(
        "rerun",
        "pipeline.upgrade:RerunParams",
        "pipeline.upgrade:run",
        "run experiments of earlier physics versions again",
    ),
)
STAGES: dict[str, Stage] = {stage.name: stage for stage in _ALL}


def stage(name: str) -> Stage:
    """The stage of that name. Raises BadInput."""
    if name not in STAGES:
        raise BadInput(f"{name!r} is not a stage: use one of {', '.join(STAGES)}")
    return STAGES[name]


def _load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
