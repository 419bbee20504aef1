"""Choosing the tool: a request in words becomes one TOOL line with the settings that were given."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from pipeline.chat.tool_text import call_text
from pipeline.data.claims import Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.regions import BIASES, DEPTHS, PHASES, SIZES, TRAIN, VALIDATION, Region
from pipeline.data.wordings import listing, pick, request_wordings, value_text

NAMES = {
    "ising_symmetry_breaking": ("ising_symmetry_breaking", "the Ising phase", "Ising symmetry-breaking"),
    "spt_cluster": ("spt_cluster", "the SPT phase", "the SPT cluster phase"),
    "trivial_product": ("trivial_product", "the trivial phase", "the trivial product phase"),
    "pseudorandom": ("pseudorandom", "the pseudorandom phase", "a pseudorandom circuit"),
}
PRACTISED = ("run_phase", "replay_drift", "tri", "discovery", "run_phase", "echo", "replay_drift", "tri", "discovery")
"""The experiments take turns. Replays and discovery, with settings of their own, come up as often as the usual ones."""
UNITS = {
    "system_size": ("system_size {}", "system size {}", "{} qubits"),
    "depth": ("depth {}", "{} layers"),
    "seed": ("seed {}",),
    "bias": ("bias {}",),
    "delta": ("delta {}",),
    "base_depth": ("base_depth {}", "base depth {}"),
    "depth_factors": ("depth_factors {}", "depth factors {}"),
    "num_per_phase": ("num_per_phase {}", "{} runs a phase"),
    "k": ("k {}", "k={}", "{} clusters"),
}


def arguments(rng: Random, experiment: str, region: Region) -> dict[str, Any]:
    """Some of an experiment's settings, beside its phase: those that the request will name, in any order.

    In one order always, a model learns which setting follows which, and goes on with it where the request has ended.
    """
    drawn: dict[str, Any] = {"system_size": rng.choice((*SIZES, rng.randrange(4, 257)))}
    if experiment == "replay_drift":
        factors = sorted(rng.sample((2, 3, 4, 5, 6, 8), rng.choice((2, 3))))
        drawn |= {"base_depth": rng.randrange(1, 7), "depth_factors": [1, *factors]}
    else:
        drawn["depth"] = rng.choice((*DEPTHS, rng.randrange(1, 33)))
    if experiment == "discovery":
        drawn |= {"num_per_phase": rng.randrange(5, 31), "k": rng.randrange(2, 7)}
    else:
        drawn |= {"seed": _seed(rng, region), "bias": rng.choice(BIASES)}
    if experiment == "echo":
        drawn["delta"] = rng.choice((0.01, 0.02, 0.05, 0.1))
    return {name: drawn[name] for name in rng.sample(list(drawn), rng.randrange(1, len(drawn) + 1))}


def _seed(rng: Random, region: Region) -> int:
    """A seed of the region; to learn calls from, also longer ones that belong to no split.

    A model that has read seeds of at most four digits copies the first four of a longer one. No run comes of it.
    """
    if region in (TRAIN, VALIDATION) and rng.random() < 0.5:
        return rng.randrange(*rng.choice(((40_000, 100_000), (100_000, 1_000_000))))
    return rng.randrange(region.first, region.last)


def spoken(rng: Random, values: dict[str, Any]) -> str:
    """The settings as people write them: "32 qubits, depth 8 and seed 3"."""
    parts = [_part(rng, name, value) for name, value in values.items()]
    return listing(parts) if rng.random() < 0.5 else ", ".join(parts)


def _part(rng: Random, name: str, value: Any) -> str:
    """One setting: "8 layers", "depth factors 1, 2 and 5"."""
    if isinstance(value, list):
        # Never "1, 2, 5" alone: in "depth factors 1, 2, 5, 8 qubits" nobody knows where the list ends.
        value = rng.choice((value_text(value), str(value), listing([str(item) for item in value])))
    text = rng.choice(UNITS[name]).format(value)
    return "1 layer" if text == "1 layers" else text


@kind("tools")
class ToolsKind:
    """The answer is the TOOL line and nothing else."""

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        experiment = PRACTISED[index % len(PRACTISED)]
        values = arguments(rng, experiment, region)
        if experiment == "discovery":
            phases = sorted(rng.sample(PHASES, rng.choice((2, 3, 4))), key=PHASES.index)
            return Case(choice={"experiment": experiment, "args": {"phases": phases, **values}, "values": values})
        args = {"phase_type": PHASES[index // len(PRACTISED) % len(PHASES)], **values}
        return Case(choice={"experiment": experiment, "args": args, "values": values})

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        experiment, args = case.choice["experiment"], case.choice["args"]
        spoken_name = listing(args["phases"]) if "phases" in args else rng.choice(NAMES[args["phase_type"]])
        phrase = rng.choice(request_wordings(experiment))
        request = phrase.format(name=spoken_name, values=spoken(rng, case.choice["values"]))
        return Draft(pick(rng, "tools", request=request), words.tool(call_text(experiment, args), experiment, args))
