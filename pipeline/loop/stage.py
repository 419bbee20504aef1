"""The whole loop: each stage's generator in turn, in one process and one run folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import simulator
from pipeline.bases import locate
from pipeline.errors import BaseError, PipelineError
from pipeline.lab import Lab
from pipeline.loop.params import LoopParams
from pipeline.loop.recipes import stage_params
from pipeline.stages import stage
from simulator.events import Event, Note, Progress, Result

Value = dict[str, Any]
Step = Callable[[Lab, LoopParams], Generator[Event, None, Value]]

_SHOWN = ((12, 4), (16, 8), (32, 8), (32, 16))


def run(lab: Lab, params: LoopParams) -> Iterator[Event]:
    """The events of every stage, then one result that holds each stage's own under its name."""
    results: Value = {}
    began = time.monotonic()
    for number, (name, step) in enumerate(_STEPS.items()):
        yield Progress("loop", number, len(_STEPS), name)
        started = time.monotonic()
        value = yield from step(lab, params)
        results[name] = {**value, "seconds": round(time.monotonic() - started, 1)}
    yield Progress("loop", len(_STEPS), len(_STEPS), "done")
    yield Result({**results, "seconds": round(time.monotonic() - began, 1), "summary": _summary(results)})


def _base(lab: Lab, params: LoopParams) -> Generator[Event, None, Value]:
    """The base, pulled where it is not here."""
    try:
        base = locate(lab, params.base)
    except BaseError:
        yield from _stage(lab, "pull", {"base": params.base})
        base = locate(lab, params.base)
    return {"name": base.name, "sha256": base.sha256}


def _experiments(lab: Lab, params: LoopParams) -> Generator[Event, None, Value]:
    """Some runs of every phase into the notebook, for a first look at the lab."""
    notebook, ids = lab.notebook(), []
    runs = [(phase, size, depth) for phase in simulator.PHASES for size, depth in _SHOWN]
    for number, (phase, size, depth) in enumerate(runs):
        yield Progress("experiments", number, len(runs), f"{phase} n={size} depth={depth}")
        value = simulator.run_now(
            "run_phase", notebook=notebook, phase_type=phase, system_size=size, depth=depth, seed=params.seed
        )
        ids.append(value["experiment_id"])
    yield Progress("experiments", len(runs), len(runs))
    return {"count": len(ids), "experiment_ids": ids}


def _named(name: str, key: str) -> Step:
    """A stage with the parameters that the loop's recipe gives it."""

    def step(lab: Lab, params: LoopParams) -> Generator[Event, None, Value]:
        return (yield from _stage(lab, name, stage_params(key, params)))

    return step


def _ask(lab: Lab, params: LoopParams) -> Generator[Event, None, Value]:
    """One question to the model as it is installed now."""
    from pipeline.chat import ask

    yield Progress("ask", 0, 1, params.question)
    answer = ask(params.question, lab=lab)
    yield Note(f"ben-lab: {answer}")
    return {"question": params.question, "answer": answer}


def _stage(lab: Lab, name: str, values: Value) -> Generator[Event, None, Value]:
    """The stage's events but its result, which is returned. Raises PipelineError where it ends without one."""
    chosen = stage(name)
    for event in chosen.runner()(lab, simulator.validate(chosen.params_model(), values)):
        if isinstance(event, Result):
            return event.value
        yield event
    raise PipelineError(f"{name} ended without a result: see job.log in the run folder")


_STEPS: dict[str, Step] = {
    "base": _base,
    "experiments": _experiments,
    "data": _named("generate", "data"),
    "train": _named("train", "train"),
    "eval": _named("eval", "eval"),
    "export": _named("export", "export"),
    "install": _named("install", "install"),
    "ask": _ask,
}


def _summary(results: Value) -> str:
    lines = ["ben-lab is installed. Scores, base → tuned:"]
    for kind, scores in results["eval"].items():
        if isinstance(scores, dict) and {"base", "tuned"} <= scores.keys() and isinstance(scores["tuned"], dict):
            base, tuned = scores["base"], scores["tuned"]
            lines.append(f"  {kind:<24}{base.get('score')} → {tuned.get('score')}  (n = {tuned.get('n')})")
    lines += ["", f"> {results['ask']['question']}", results["ask"]["answer"]]
    return "\n".join(lines)
