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

from pipeline.chat.events import Message
from pipeline.data.claims import Run, Words
from pipeline.data.line import Sample, conversation
from pipeline.data.regions import REGIONS, Region
from pipeline.errors import BadInput

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """A planned sample: the runs it needs, what else was chosen, and whether the regions let it stand."""

    runs: list[Run] = field(default_factory=list)
    choice: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """A written sample before it gets its meta: one question and its answer, or the `messages` of a conversation."""

    instruction: str = ""
    output: str = ""
    input: str = ""
    messages: tuple[Message, ...] = ()
    tools: bool = False


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


@dataclass(frozen=True, slots=True)
class Place:
    """What makes a sample: the same place always makes the same bytes."""

    kind: str
    seed: int
    region: Region
    index: int

    def stream(self) -> Random:
        """Return the sample's own random numbers."""
        return Random(f"{self.seed}/{self.kind}/{self.region.name}/{self.index}")

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> Place | None:
        """Return the place that a line's meta names; None for a line that was not generated here."""
        kind, seed, region, index = (meta.get(name) for name in ("kind", "seed", "region", "index"))
        if kind not in KINDS or not isinstance(region, str) or region not in REGIONS:
            return None
        if type(seed) is not int or type(index) is not int or index < 0:
            return None
        return cls(str(kind), seed, REGIONS[region], index)


def finish(place: Place, case: Case, draft: Draft, words: Words, results: Sequence[Result]) -> Sample:
    """Return the sample with its provenance."""
    params = case.runs[0].params if len(case.runs) == 1 else {"runs": [run.as_dict() for run in case.runs]}
    answers = [turn["content"] for turn in draft.messages if turn["role"] == "assistant"] or [draft.output]
    meta = {
        "kind": place.kind,
        "params": params if case.runs else case.choice,
        "experiment_ids": [str(result["experiment_id"]) for result in results],
        "claims": words.placed(*answers),
        "seed": place.seed,
        "region": place.region.name,
        "index": place.index,
    }
    if draft.messages:
        return conversation(draft.messages, meta, draft.tools)
    return Sample(draft.instruction, draft.input, draft.output, meta, tools=draft.tools)
