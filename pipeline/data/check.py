"""`data check FILE`: generates the lab's lines again, re-runs the claims of all others, and reports what differs.

A generated line names the kind, seed, region and index that made it; it must be the same byte for byte. A failure names
the line, the claim, what the file says and what the simulator found. Other lines without claims are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import simulator
from pipeline.data.claims import Claim, Run, runs_of, verify
from pipeline.data.kinds.base import Place
from pipeline.data.line import Sample, chat_notes
from pipeline.data.params import CheckParams
from pipeline.data.paths import given_path
from pipeline.data.reader import BadLine, read_lines
from pipeline.data.samples import made_at
from pipeline.data.source import InProcess
from pipeline.data.writer import read_manifest
from pipeline.errors import DataError
from pipeline.lab import Lab
from simulator.errors import SimulatorError
from simulator.events import Event, Note, Progress, Result

CHECKED = ("run_phase", "tri", "echo", "replay_drift", "discovery")
"""What a claim may be about: experiments of seconds. A stranger's file must not start a sweep or reach a cluster."""
MOST_WORK = 200_000
"""Sites times layers times circuits of one claim's run: a second or so; the data's own are below 40,000."""
CHUNK = 200
"""Lines whose runs are done together."""
LARGEST = 1e300
"""The largest number that a claim may state: a float holds it, and so its difference to another."""


@dataclass(frozen=True)
class Failure:
    """One claim that does not hold."""

    line: int
    claim: str
    expected: str
    found: str

    def __str__(self) -> str:
        if self.claim == "line":
            return f"line {self.line} is no sample: {clip(self.found)}"
        return f"line {self.line}: {self.claim}: the file says {clip(self.expected)}, found: {clip(self.found)}"


def run(lab: Lab, params: CheckParams) -> Iterator[Event]:
    """Yield Progress, then a Result with ok, the counts of lines and claims, and failures. Raises DataError."""
    path = given_path(params.file) if params.file else lab.data
    version = read_manifest(path).get("physics_version", simulator.PHYSICS_VERSION)
    if version != simulator.PHYSICS_VERSION:
        raise DataError(
            f"{path} was generated with physics version {version} and this is {simulator.PHYSICS_VERSION}: "
            "generate it again with `benlab generate`"
        )
    failures: list[Failure] = []
    lines = claims = bare = bad = again = 0
    chunk: list[tuple[int, Sample]] = []
    chats: list[Sample] = []
    for number, found in read_lines(path):
        lines += 1
        if isinstance(found, BadLine):
            bad += 1
            failures.append(Failure(number, "line", "a sample", found.reason))
            continue
        claims += len(found.meta.get("claims", []))
        made = Place.of(found.meta) is not None
        again += made
        bare += not made and not found.meta.get("claims")
        chunk.append((number, found))
        chats += [Sample("", "", "", found.meta)] if "left_out" in found.meta or "system_left_out" in found.meta else []
        if len(chunk) == CHUNK:
            failures += check_samples(chunk)
            chunk = []
            yield Progress("check", lines, None, f"{len(failures)} failures")
    if not lines:
        raise DataError(f"{path} holds no lines, so there is nothing to check: give a JSONL file with samples")
    failures += check_samples(chunk)
    failures.sort(key=lambda failure: failure.line)
    for note in chat_notes(chats):
        yield Note(note)
    if bare:
        yield Note(f"lines from elsewhere without claims: {bare}; nothing was checked in them")
    yield Result(
        {
            "file": str(path),
            "ok": not failures,
            "lines": lines,
            "bad_lines": bad,
            "generated_again": again,
            "claims": claims,
            "lines_without_claims": bare,
            "failed": len(failures),
            "failures": [{**asdict(failure), "text": str(failure)} for failure in failures[: params.limit]],
        }
    )


def check_samples(samples: list[tuple[int, Sample]]) -> list[Failure]:
    """Return every failure of numbered samples.

    A generated line is generated again and compared; any other line is checked by its claims, whose distinct runs go
    through the simulator in one batch.
    """
    placed = [(number, sample, Place.of(sample.meta)) for number, sample in samples]
    made = [(number, sample, place) for number, sample, place in placed if place]
    return [*_changed(made), *_claims([(number, sample) for number, sample, place in placed if not place])]


def _changed(lines: list[tuple[int, Sample, Place]]) -> list[Failure]:
    """Lines that differ from what their place generates."""
    failures: list[Failure] = []
    with closing(InProcess()) as source:
        again = made_at([place for _, _, place in lines], source)
        for (number, sample, place), made in zip(lines, again, strict=True):
            said, found = sample.to_line(), made.to_line() if made else "no line"
            if said != found:
                start = max(0, _first_difference(said, found) - 20)
                where = f"{place.kind} {place.index} of seed {place.seed}"
                failures.append(Failure(number, where, said[start:][:80], found[start:][:80]))
    return failures


def _first_difference(one: str, other: str) -> int:
    return next((i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)


def _claims(samples: list[tuple[int, Sample]]) -> list[Failure]:
    """Claims that do not hold, or whose text the answer does not say."""
    failures: list[Failure] = []
    todo: list[tuple[int, Claim, list[Run]]] = []
    for number, sample in samples:
        for claim in sample.meta.get("claims", []):
            if trouble := _shape(claim):
                failures.append(Failure(number, str(claim)[:80], "a claim", trouble))
                continue
            todo.append((number, claim, runs_of(claim)))
            if (said := _said(sample, claim)) is not None:
                failures.append(
                    Failure(number, str(claim["quantity"]), str(claim["text"]), clip(f"the output says {said!r}"))
                )
    results = _results([run for _, _, runs in todo for run in runs])
    for number, claim, runs in todo:
        found = _judge(claim, [results[run.key] for run in runs])
        if found is not None:
            failures.append(Failure(number, _name(claim), str(claim["text"]), found))
    return failures


def _span(claim: Claim) -> tuple[int, int] | None:
    """Where a claim says that its text stands, None where it says nothing usable."""
    span = claim.get("span")
    if isinstance(span, list) and len(span) == 2 and all(isinstance(place, int) and place >= 0 for place in span):
        return span[0], span[1]
    return None


def _said(sample: Sample, claim: Claim) -> str | None:
    """The text at a claim's span if it differs from the claim, else None."""
    answers = [turn["content"] for turn in sample.messages if turn["role"] == "assistant"] or [sample.output]
    place = claim.get("answer", len(answers) - 1)
    output = answers[place] if isinstance(place, int) and 0 <= place < len(answers) else ""
    text, span = str(claim["text"]), _span(claim)
    if span is None:
        return None if text in output else "nothing like it"
    said = output[span[0] : span[1]]
    return None if said == text else said


def clip(text: str) -> str:
    """At most 80 characters of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"


def _results(runs: list[Run]) -> dict[str, dict[str, Any] | str]:
    """Results by key; a sentence in place of one where the simulator refuses the run."""
    distinct = {run.key: run for run in runs}
    with closing(InProcess()) as source:
        try:
            return dict(zip(distinct, source.run(list(distinct.values())), strict=True))
        except SimulatorError:
            return {key: _alone(source, run) for key, run in distinct.items()}


def _alone(source: InProcess, run: Run) -> dict[str, Any] | str:
    try:
        return next(source.run([run]))
    except SimulatorError as error:
        return str(error)


def _judge(claim: Claim, results: list[dict[str, Any] | str]) -> str | None:
    refused = [result for result in results if isinstance(result, str)]
    if refused:
        return str(refused[0])
    try:
        return verify(claim, [result for result in results if not isinstance(result, str)])
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        return f"nothing named {str(claim['quantity'])[:60]!r} ({type(error).__name__})"


def _shape(claim: object) -> str | None:
    """What is wrong with a claim's form, None where nothing is."""
    if not isinstance(claim, dict) or not all(isinstance(claim.get(name), str) for name in ("quantity", "text")):
        return "not an object with quantity and text"
    try:
        strange = [run.experiment for run in runs_of(claim) if run.experiment not in CHECKED]
    except (KeyError, TypeError, ValueError, AttributeError):
        return "no experiment and params to run"
    if strange:
        return f"{strange[0][:40]!r} is no experiment that claims can be about: use one of {', '.join(CHECKED)}"
    if heavy := [run for run in runs_of(claim) if _work(run) > MOST_WORK]:
        return f"{heavy[0].experiment} {heavy[0].params} is too large to re-run here"[:200]
    measured = not claim["quantity"].startswith(
        ("verdict.", "glossary.", "param.", "tool", "shown.", "change.", "ratio.")
    )
    if measured:
        values = [claim.get("value"), claim.get("tolerance")]
        if not all(isinstance(value, int | float) and abs(value) <= LARGEST for value in values):
            return "value or tolerance is no number"
    return None


def _work(run: Run) -> int:
    """About how much a run is: sites times layers times circuits; 0 where the simulator refuses it."""
    try:
        values = simulator.validate(simulator.EXPERIMENTS[run.experiment].params, run.params).model_dump()
    except SimulatorError:
        return 0
    layers = values["base_depth"] * max(values["depth_factors"]) if "depth_factors" in values else values["depth"]
    circuits = len(values["phases"]) * values["num_per_phase"] if "num_per_phase" in values else 1
    return int(values["system_size"] * layers * circuits)


def _name(claim: Claim) -> str:
    """The claim's quantity with its run, short enough for a line."""
    runs = runs_of(claim)
    where = f" of {runs[0].experiment} {runs[0].params}" if runs else ""
    return clip(f"{claim['quantity']}{where}")
