"""The whole loop: each stage's generator in turn, in one process and one run folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

from pydantic import BaseModel

import simulator
from pipeline.bases import locate, locate_gguf
from pipeline.bases.params import PullParams
from pipeline.errors import BaseError, PipelineError
from pipeline.lab import Lab
from pipeline.loop.params import LoopParams
from pipeline.loop.recipe import stage_params
from pipeline.stages import stage
from simulator.events import Event, Note, Progress, Result

Value = dict[str, Any]
Step = Generator[Event, None, Value]

_SHOWN = ((12, 4), (16, 8), (32, 8), (32, 16))


def run(lab: Lab, params: LoopParams) -> Iterator[Event]:
    """The events of every stage, then one result that holds each stage's own under its name."""
    values = stage_params(params)
    steps: dict[str, Callable[[], Step]] = {
        "base": lambda: _base(lab, params.base),
        "experiments": lambda: _experiments(lab, params.seed),
        "data": lambda: _stage(lab, "generate", values["data"]),
        "train": lambda: _stage(lab, "train", values["train"]),
        "eval": lambda: _stage(lab, "eval", values["eval"]),
        "export": lambda: _stage(lab, "export", values["export"]),
        "install": lambda: _stage(lab, "install", values["install"]),
        "ask": lambda: _ask(lab, params.question),
    }
    results: Value = {}
    began = time.monotonic()
    for number, (name, step) in enumerate(steps.items()):
        yield Progress("loop", number, len(steps), name)
        started = time.monotonic()
        value = yield from step()
        results[name] = {**value, "seconds": round(time.monotonic() - started, 1)}
    yield Progress("loop", len(steps), len(steps), "done")
    yield Result({**results, "seconds": round(time.monotonic() - began, 1), "summary": _summary(results)})


def _base(lab: Lab, name: str) -> Step:
    """The base, pulled where it is not here."""
    try:
        base = locate(lab, name)
    except BaseError:
        yield from _stage(lab, "pull", PullParams(base=name))
        base = locate(lab, name)
    locate_gguf(lab, name)  # eval and install will read it: better said now than after the training
    return {"name": base.name, "sha256": base.sha256}


def _experiments(lab: Lab, seed: int) -> Step:
    """Some runs of every phase into the notebook, for a first look at the lab."""
    notebook, ids = lab.notebook(), []
    runs = [(phase, size, depth) for phase in simulator.PHASES for size, depth in _SHOWN]
    for number, (phase, size, depth) in enumerate(runs):
        yield Progress("experiments", number, len(runs), f"{phase} n={size} depth={depth}")
        value = simulator.run_now(
            "run_phase", notebook=notebook, phase_type=phase, system_size=size, depth=depth, seed=seed
        )
        ids.append(value["experiment_id"])
    yield Progress("experiments", len(runs), len(runs))
    return {"count": len(ids), "experiment_ids": ids}


def _ask(lab: Lab, question: str) -> Step:
    """One question to the model as it is installed now."""
    from pipeline.chat import ask

    yield Progress("ask", 0, 1, question)
    answer = ask(question, lab=lab)
    yield Note(f"ben-lab: {answer}")
    return {"question": question, "answer": answer}


def _stage(lab: Lab, name: str, values: BaseModel) -> Step:
    """The stage's events but its result, which is returned. Raises PipelineError where it ends without one."""
    for event in stage(name).runner()(lab, values):
        if isinstance(event, Result):
            return event.value
        yield event
    raise PipelineError(f"{name} ended without a result: see job.log in the run folder")


def _summary(results: Value) -> str:
    lines = ["ben-lab is installed. Scores, base → tuned:"]
    for kind, scores in results["eval"].items():
        if isinstance(scores, dict) and {"base", "tuned"} <= scores.keys() and isinstance(scores["tuned"], dict):
            base, tuned = scores["base"], scores["tuned"]
            lines.append(f"  {kind:<24}{base.get('score')} → {tuned.get('score')}  (n = {tuned.get('n')})")
    lines += ["", f"> {results['ask']['question']}", results["ask"]["answer"]]
    return "\n".join(lines)
