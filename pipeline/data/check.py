"""`data check FILE`: re-runs the simulator for every claim of a file and reports what does not hold.

A failure names the line, the claim, what the file says and what the simulator found. Lines without claims are
counted; a number or phase type of an output that no claim covers is a failure of a line that has claims.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.data.bindings import misplaced
from pipeline.data.claims import Claim, Run, runs_of, verify
from pipeline.data.line import Sample, chat_notes
from pipeline.data.params import CheckParams
from pipeline.data.paths import given_path
from pipeline.data.prompts import filled, strange_in_prompt, strange_values
from pipeline.data.reader import BadLine, read_lines
from pipeline.data.regions import PHASES
from pipeline.data.source import InProcess
from pipeline.errors import DataError
from pipeline.lab import Lab
from simulator.errors import SimulatorError
from simulator.events import Event, Note, Progress, Result
from simulator.number_text import NUMBER, numbers_in, plain_minus

CHECKED = ("run_phase", "tri", "echo", "replay_drift", "discovery")
"""What a claim may be about: experiments of seconds. A stranger's file must not start a sweep or reach a cluster."""
MOST_WORK = 200_000
"""Sites times layers times circuits of one claim's run: a second or so; the data's own are below 40,000."""
CHUNK = 200
"""Lines whose runs are done together."""
LARGEST = 1e300
"""The largest number that a claim may state: a float holds it, and so its difference to another."""
_PHASE = f"(?:{'|'.join(PHASES)})"
_ADVICE = re.compile(rf"\b(?:use|try|compare it with)\s+{_PHASE}(?:(?:,| or| and)+\s+{_PHASE})*\b", re.IGNORECASE)
"""What to run next: it names phase types and says nothing of a run."""


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
    """Progress, then a Result with ok, lines, claims, lines_without_claims and failures. Raises DataError."""
    path = given_path(params.file) if params.file else lab.data
    failures: list[Failure] = []
    lines = claims = bare = bad = 0
    chunk: list[tuple[int, Sample]] = []
    chats: list[Sample] = []
    for number, found in read_lines(path):
        lines += 1
        if isinstance(found, BadLine):
            bad += 1
            failures.append(Failure(number, "line", "a sample", found.reason))
            continue
        claims += len(found.meta.get("claims", []))
        bare += not found.meta.get("claims")
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
        yield Note(f"lines without claims: {bare}, in which nothing was checked")
    yield Result(
        {
            "file": str(path),
            "ok": not failures,
            "lines": lines,
            "bad_lines": bad,
            "claims": claims,
            "lines_without_claims": bare,
            "failed": len(failures),
            "failures": [{**asdict(failure), "text": str(failure)} for failure in failures[: params.limit]],
        }
    )


def check_samples(samples: list[tuple[int, Sample]]) -> list[Failure]:
    """Every failure of numbered samples; their distinct runs go through the simulator in one batch."""
    failures: list[Failure] = []
    todo: list[tuple[int, Claim, list[Run]]] = []
    for number, sample in samples:
        claims = sample.meta.get("claims", [])
        for claim in claims:
            trouble = _shape(claim)
            if trouble:
                failures.append(Failure(number, str(claim)[:80], "a claim", trouble))
            else:
                todo.append((number, claim, runs_of(claim)))
        if claims:
            failures += _of_words(number, sample, [claim for claim in claims if not _shape(claim)])
    results = _results([run for _, _, runs in todo for run in runs])
    keys: dict[int, set[str]] = {number: set() for number, _ in samples}
    for number, _, runs in todo:
        keys[number].update(run.key for run in runs)
    for number, sample in samples:
        wrong = strange_values(sample.prompt, [results[key] for key in keys[number]])
        failures += [Failure(number, "prompt", text, found) for text, found in wrong]
    for number, claim, runs in todo:
        found = _judge(claim, [results[run.key] for run in runs])
        if found is not None:
            failures.append(Failure(number, _name(claim), str(claim["text"]), found))
    return failures


def _of_words(number: int, sample: Sample, claims: list[Claim]) -> list[Failure]:
    """What the words of a line say that its claims do not; no run is needed for it."""
    failures = [Failure(number, "number", text, "no claim covers it") for text in uncovered(sample)]
    failures += [Failure(number, "phase", text, "no claim is about it") for text in stray_phases(sample)]
    failures += [
        Failure(number, "prompt", text, "nothing that the claims are about has it")
        for text in strange_in_prompt(sample.prompt, claims)
    ]
    placed = any(map(_span, claims))
    for claim in claims:
        span, said = _span(claim), _said(sample.output, claim)
        told = [clip(f"the output says {said!r}")] if said is not None else []
        told += ["no span, and other claims of the line have one"] if placed and not span else []
        told += [text] if span and (text := misplaced(sample.output, claim, span)) else []
        failures += [Failure(number, str(claim["quantity"]), str(claim["text"]), text) for text in told]
    return failures


def uncovered(sample: Sample) -> list[str]:
    """The numbers of an output that no claim's span covers; a claim without one covers its text anywhere."""
    claims = [claim for claim in sample.meta.get("claims", []) if isinstance(claim, dict)]
    spans = [span for claim in claims if (span := _span(claim))]
    texts = {number for claim in claims if not _span(claim) for number in numbers_in(str(claim.get("text", "")))}
    return [
        match.group()
        for match in NUMBER.finditer(sample.output)
        if plain_minus(match.group()) not in texts
        and not any(low <= match.start() and match.end() <= high for low, high in spans)
    ]


def stray_phases(sample: Sample) -> list[str]:
    """The phase types that an output names and that no claim is about; what to run next (`use X`) states nothing."""
    claims = [claim for claim in sample.meta.get("claims", []) if not _shape(claim)]
    texts = [str(claim.get("text", "")) for claim in claims]
    known = " ".join([*texts, *(str(filled(run)) for claim in claims for run in runs_of(claim))])
    said = _ADVICE.sub("", sample.output).lower()
    return [phase for phase in PHASES if re.search(rf"\b{phase}\b", said) and phase not in known]


def _span(claim: Claim) -> tuple[int, int] | None:
    """Where a claim says that its text stands, None where it says nothing usable."""
    span = claim.get("span")
    if isinstance(span, list) and len(span) == 2 and all(isinstance(place, int) and place >= 0 for place in span):
        return span[0], span[1]
    return None


def _said(output: str, claim: Claim) -> str | None:
    """What stands at a claim's place where that is not its text; None where it is."""
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
    measured = not claim["quantity"].startswith(("verdict.", "glossary.", "param.", "tool"))
    if measured:
        values = [claim.get("value"), claim.get("tolerance")]
        if not all(isinstance(value, int | float) and abs(value) <= LARGEST for value in values):
            return "value or tolerance is no number"
    return None


def _work(run: Run) -> int:
    """About how much a run is: sites times layers times circuits; 0 where the simulator refuses it."""
    values = filled(run)
    if not values:
        return 0
    layers = values["base_depth"] * max(values["depth_factors"]) if "depth_factors" in values else values["depth"]
    circuits = len(values["phases"]) * values["num_per_phase"] if "num_per_phase" in values else 1
    return int(values["system_size"] * layers * circuits)


def _name(claim: Claim) -> str:
    """The claim's quantity with its run, short enough for a line."""
    runs = runs_of(claim)
    where = f" of {runs[0].experiment} {runs[0].params}" if runs else ""
    return clip(f"{claim['quantity']}{where}")
