"""Makes samples: the engine behind every kind, and the guide's four generators by name.

from pipeline.data.samples import generate_phase_samples
lines = generate_phase_samples(n_per_phase=40)     # dicts with instruction, input, output, meta
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from pipeline.data.claims import Run, Words
from pipeline.data.duplicates import Seen
from pipeline.data.kinds import KINDS
from pipeline.data.kinds.base import Place, finish
from pipeline.data.line import Sample
from pipeline.data.regions import PHASES, TRAIN, Region
from pipeline.data.source import InProcess, Source, run_all

Keep = Callable[[list[dict[str, Any]]], object]

CHUNK = 1000
"""Cases planned, run and written at once."""
TRIES = 4
"""A kind gives up after this many planned cases for each sample asked for: it has nothing new to say."""


def make(
    kind: str,
    count: int,
    seed: int,
    region: Region,
    source: Source,
    seen: Seen,
    keep: Keep = list,
    first: int = 0,
) -> Iterator[Sample]:
    """Up to `count` samples of a kind that `seen` has not met, in a fixed order from case `first` on.

    `keep` is given every result.
    """
    done, index = 0, first
    while done < count and index < first + TRIES * count + 100:
        size = min(CHUNK, count - done)
        places = [Place(kind, seed, region, number) for number in range(index, index + size)]
        for sample in made_at(places, source, keep):
            if sample and done < count and seen.take(sample):
                done += 1
                yield sample
        index += size


def first_runs(kind: str, count: int, seed: int, region: Region, first: int = 0) -> list[Run]:
    """The runs behind `count` samples of a kind from case `first` on, should none of them be a duplicate."""
    places = [Place(kind, seed, region, index) for index in range(first, first + count)]
    return [run for place in places for run in KINDS[kind].plan(place.stream(), region, place.index).runs]


def made_at(places: Sequence[Place], source: Source, keep: Keep = list) -> Iterator[Sample | None]:
    """Yield the sample of each place; None if its runs teach nothing. All runs go through the simulator together."""
    streams = [place.stream() for place in places]
    cases = [KINDS[p.kind].plan(rng, p.region, p.index) for p, rng in zip(places, streams, strict=True)]
    found = dict(run_all(source, [run for case in cases for run in case.runs]))
    keep(list(found.values()))
    for place, rng, case in zip(places, streams, cases, strict=True):
        words = Words()
        results = [found[run.key] for run in case.runs]
        draft = KINDS[place.kind].write(rng, case, results, words)
        yield finish(place, case, draft, words, results) if draft else None


def _lines(kind: str, count: int, seed: int) -> list[dict[str, Any]]:
    with closing(InProcess()) as source:
        return [asdict(sample) for sample in make(kind, count, seed, TRAIN, source, Seen())]


def generate_phase_samples(n_per_phase: int = 40, seed: int = 0) -> list[dict[str, Any]]:
    """`n_per_phase` explanations of a run for each of the four phase types."""
    return _lines("phase", n_per_phase * len(PHASES), seed)


def generate_tri_samples(n: int = 60, seed: int = 0) -> list[dict[str, Any]]:
    """`n` explanations of a time-reversal instability test."""
    return _lines("tri", n, seed)


def generate_discovery_samples(n_runs: int = 15, seed: int = 0) -> list[dict[str, Any]]:
    """`n_runs` explanations of an unsupervised clustering."""
    return _lines("discovery", n_runs, seed)


def generate_replay_drift_samples(n: int = 40, seed: int = 0) -> list[dict[str, Any]]:
    """`n` explanations of a replay drift experiment."""
    return _lines("replay_drift", n, seed)
