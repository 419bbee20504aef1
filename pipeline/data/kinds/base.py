"""What a kind of sample is: a plan that names the runs it needs, and a text written from their results.

Planning comes first for all samples, so that the runs go through the simulator in batches, in process or over the
Lab API. Both steps draw from one stream of random numbers that depends on (seed, kind, region, index) alone:
sample 7 of a kind is the same whatever else is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from pipeline.data.claims import Run, Words
from pipeline.data.line import Sample
from pipeline.data.regions import Region
from pipeline.errors import BadInput

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """A planned sample: the runs it needs, what else was chosen, and whether the regions let it stand."""

    runs: list[Run] = field(default_factory=list)
    choice: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """A written sample before it gets its meta."""

    instruction: str
    output: str
    input: str = ""


class Kind(Protocol):
    """One kind of sample."""

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        """Chooses the case; cheap, runs nothing."""
        ...

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft | None:
        """Puts the case into words; every number and verdict goes through `words`. None where it teaches nothing."""
        ...


KINDS: dict[str, Kind] = {}
GUIDE_KINDS = ("phase", "tri", "discovery", "replay_drift")


def kind(name: str) -> Callable[[type[Kind]], type[Kind]]:
    """Registers a kind under `name`, once."""

    def register(cls: type[Kind]) -> type[Kind]:
        if name in KINDS:
            raise ValueError(f"a kind named {name!r} is there already")
        cls.name = name
        KINDS[name] = cls()
        return cls

    return register


def kind_named(name: str) -> Kind:
    """The kind with this name. Raises BadInput."""
    if name not in KINDS:
        raise BadInput(f"{name[:60]!r} is not a kind of sample: use one of {', '.join(KINDS)}")
    return KINDS[name]


def stream(seed: int, name: str, region: Region, index: int) -> Random:
    """The random numbers of one sample."""
    return Random(f"{seed}/{name}/{region.name}/{index}")


def finish(name: str, region: Region, case: Case, draft: Draft, words: Words, results: Sequence[Result]) -> Sample:
    """The sample with its provenance."""
    params = case.runs[0].params if len(case.runs) == 1 else {"runs": [run.as_dict() for run in case.runs]}
    meta = {
        "kind": name,
        "params": params if case.runs else case.choice,
        "experiment_ids": [str(result["experiment_id"]) for result in results],
        "claims": words.placed(draft.output),
        "split": region.name,
    }
    return Sample(draft.instruction, draft.input, draft.output, meta)
