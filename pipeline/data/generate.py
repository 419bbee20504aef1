"""The stage `generate`: experiments in, training data out."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import simulator
from pipeline.alone import only_one
from pipeline.data.duplicates import Seen
from pipeline.data.feedback import accepted, judged, turn_of
from pipeline.data.line import Sample, chat_notes
from pipeline.data.params import GenerateParams
from pipeline.data.paths import given_path, out_path, validation_path
from pipeline.data.place import made_anew, refuse_own_output, refuse_strangers
from pipeline.data.reader import BadLine, read_good
from pipeline.data.recipes import counts
from pipeline.data.regions import TRAIN, VALIDATION
from pipeline.data.samples import Keep, first_runs, make
from pipeline.data.source import SLOW, InProcess, OverApi, Source
from pipeline.data.writer import read_manifest, write_dataset
from pipeline.errors import DataError
from pipeline.lab import Lab
from simulator.events import Event, Note, Progress, Result

BAR_STEP = 20
MOST_NOTES = 20


@dataclass
class _Parts:
    """What is gathered while the stage runs."""

    train: list[Sample] = field(default_factory=list)
    validation: list[Sample] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)


def run(lab: Lab, params: GenerateParams) -> Iterator[Event]:
    """Writes the training file, its validation file and manifest; ends with their counts and sha256.

    Raises BadInput, DataError, LabError, NetworkError or SimulatorError; nothing is changed then.
    """
    wanted, out = counts(params), out_path(lab, params.out)
    busy = f"{out} is being written by another generate at this moment: wait for it, or give another --out"
    result: Event | None = None
    with only_one(out.with_name(f".{out.name}.lock"), busy):
        for event in _run(lab, params, wanted, out):
            if isinstance(event, Result):
                result = event
            else:
                yield event
    if result:  # after the lock, so that whoever reads no further holds nothing
        yield result


def _run(lab: Lab, params: GenerateParams, wanted: dict[str, int], out: Path) -> Iterator[Event]:
    started = time.monotonic()
    refuse_own_output(params.mix, out)
    refuse_strangers(out)
    parts = _Parts()
    if out.is_file() and not params.append:
        yield from made_anew(out)
    kept = _keep(out, parts, _prompts_judged(lab) if params.feedback else {}) if params.append else 0
    yield from _own_lines(lab, params, parts)
    source: Source = OverApi(params.api, os.environ.get("BENLAB_API_TOKEN")) if params.api else InProcess()
    try:
        with lab.notebook() as notebook:
            yield from _generate(wanted, params.seed, source, parts, notebook.put_many)
    finally:
        source.close()
    new = parts.train[kept:]
    Random(params.seed).shuffle(new)
    train = parts.train[:kept] + new
    if not train:
        raise DataError("no usable sample came out: mend the mixed-in files, or ask for a count above 0")
    facts: dict[str, Any] = {
        "seed": params.seed,
        "recipe": params.recipe or "default",
        "requested": wanted,
        "dropped": {"exact_duplicates": parts.seen.exact, "near_duplicates": parts.seen.near, "bad": len(parts.bad)},
    }
    if kept:
        facts["kept_from"] = _former(read_manifest(out))
    manifest = write_dataset(out, train, parts.validation, facts)
    yield Result(
        {
            "out": str(out),
            "samples": len(train),
            "appended": len(new) if params.append else 0,
            "kinds": manifest["train"]["kinds"],
            "validation": len(parts.validation),
            "dropped": facts["dropped"],
            "bad_lines": [{"file": bad.file, "line": bad.line, "reason": bad.reason} for bad in parts.bad[:100]],
            "sha256": manifest["train"]["sha256"],
            "physics_version": simulator.PHYSICS_VERSION,
            "seconds": round(time.monotonic() - started, 3),
        }
    )


def _former(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """What the calls before an --append asked for, oldest first."""
    earlier = manifest.get("kept_from")
    last = {name: manifest[name] for name in ("seed", "recipe", "requested") if name in manifest}
    return [*(earlier if isinstance(earlier, list) else []), *([last] if last else [])]


def _prompts_judged(lab: Lab) -> dict[int, str]:
    """The prompt of every chat turn that has a verdict in this lab, by the answer's number."""
    return {turn.message_id: turn.prompt for turn in judged(lab)}


def _keep(out: Path, parts: _Parts, judged_here: dict[int, str]) -> int:
    """Takes over the data set that is there, for --append; returns its number of training lines."""
    if not out.exists():
        return 0
    _refuse_other_physics(out, "generate it again without append, or give another --out")
    for path, target in ((out, parts.train), (validation_path(out), parts.validation)):
        if not path.exists():
            continue
        good, bad = read_good(path)
        if bad:
            raise DataError(f"{bad[0]}: mend or remove that line before you append; nothing was changed")
        for sample in good:
            # Judged chat turns come from lab.db again, by what is said of them now; another lab's stay as they are.
            message = turn_of(sample)
            if message is not None and judged_here.get(message) == sample.prompt:
                continue
            parts.seen.remember(sample)
            target.append(sample)
    return len(parts.train)


def _refuse_other_physics(path: Path, advice: str) -> None:
    """Raises DataError if a data set holds numbers of another physics version: the two are never mixed."""
    version = read_manifest(path).get("physics_version", simulator.PHYSICS_VERSION)
    if version != simulator.PHYSICS_VERSION:
        raise DataError(
            f"{path} was made with physics version {version} and this is {simulator.PHYSICS_VERSION}: {advice}"
        )


def _own_lines(lab: Lab, params: GenerateParams, parts: _Parts) -> Iterator[Event]:
    """The user's own files, and the chat turns that were accepted or corrected."""
    for name in params.mix:
        _refuse_other_physics(given_path(name), "leave it out of mix")
        yield Progress("generate", 0, None, f"reading {Path(name).name}")
        good, bad = read_good(given_path(name))
        if not good and bad:
            raise DataError(f"{name} has no usable line; the first trouble is line {bad[0].line}: {bad[0].reason}")
        for line in bad[:MOST_NOTES]:
            yield Note(f"{line}, kept out")
        if len(bad) > MOST_NOTES:
            yield Note(f"{name}: {len(bad) - MOST_NOTES} more lines kept out")
        parts.bad += bad
        taken = [_owned(sample, name) for sample in good if parts.seen.take(sample, near=False)]
        parts.train += taken
        known = len(good) - len(taken)
        rest = f"; {known} kept out, whose question the data answers already" if known else ""
        yield Note(f"{name}: {len(taken)} lines mixed in{rest}")
        for note in chat_notes(taken):
            yield Note(f"{name}: {note}")
    if params.feedback and lab.database.exists():
        turns = [sample for sample in accepted(lab) if parts.seen.take(sample, near=False)]
        parts.train += turns
        if turns:
            yield Note(f"{len(turns)} accepted chat turns mixed in")


def _owned(sample: Sample, name: str) -> Sample:
    """A mixed-in line with its source in meta."""
    meta = {"kind": "own", **sample.meta, "source": Path(name).name, "region": TRAIN.name}
    return replace(sample, meta=meta)


def _generate(wanted: dict[str, int], seed: int, source: Source, parts: _Parts, keep: Keep) -> Iterator[Event]:
    """The lab's own samples of every kind; validation lines take turns over the kinds that are wanted."""
    kinds = {kind: count for kind, count in wanted.items() if kind != "validation" and count}
    total, done = sum(wanted.values()), 0
    held = _validation_counts(kinds, wanted["validation"])
    # What an append finds there may be of this very seed: it goes on behind that.
    there = [*parts.train, *parts.validation]
    former = Counter((str(sample.meta.get("kind")), str(sample.meta.get("region"))) for sample in there)
    slow = [
        first_runs(SLOW, plan[SLOW], seed, region, former[SLOW, region.name])
        for region, plan in ((VALIDATION, held), (TRAIN, kinds))
        if SLOW in plan
    ]
    source.expect([run for runs in slow for run in runs])
    for region, plan, target in ((VALIDATION, held, parts.validation), (TRAIN, kinds, parts.train)):
        for kind, count in plan.items():
            yield Progress("generate", done, total, kind)
            made = make(kind, count, seed, region, source, parts.seen, keep, first=former[kind, region.name])
            before = len(target)
            while some := list(islice(made, BAR_STEP)):
                target += some
                yield Progress("generate", min(done + len(target) - before, total), total, kind)
            if len(target) - before < count:
                yield Note(f"{kind}: {len(target) - before} of {count} samples, since no more differ from each other")
            done += count


def _validation_counts(kinds: dict[str, int], count: int) -> dict[str, int]:
    """`count` shared out in proportion to the training counts, at least one a kind while it lasts."""
    total = sum(kinds.values())
    shares = {kind: max(1, round(count * size / total)) for kind, size in kinds.items()}
    left = count
    result = {}
    for kind, share in shares.items():
        result[kind] = min(share, left)
        left -= result[kind]
    return {kind: size for kind, size in result.items() if size}
