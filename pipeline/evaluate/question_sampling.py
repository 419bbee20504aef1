"""Makes the questions of an evaluation, and skips what the training data has seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from math import ceil
from pathlib import Path
from random import Random
from statistics import fmean

import pipeline.evaluate.questions  # noqa: F401  (registers the kinds)
import simulator
from pipeline.data.claims import Run, runs_of
from pipeline.data.line import Sample
from pipeline.data.reader import read_lines
from pipeline.data.regions import PHASES, TEST, TEST_FAR, TRAIN, Region, draw
from pipeline.data.source import InProcess, run_all
from pipeline.evaluate.params import QUESTIONS_OF_A_KIND, EvalParams
from pipeline.evaluate.question import QUESTIONS, Question
from pipeline.evaluate.sealed import EvaluationSet
from simulator.errors import SimulatorError

Means = dict[str, dict[str, float]]
TRIES = 6
"""Planned questions for each one wanted, where fairness or leakage refuse some."""
MEAN_RUNS = 400
"""Training runs behind the score of always answering the mean."""


class Trained:
    """What a training file holds: prompts, and runs."""

    def __init__(self) -> None:
        self.prompts: set[str] = set()
        self.runs: set[str] = set()

    @classmethod
    def of(cls, *paths: Path) -> Trained:
        """Reads training files; those that are not there hold nothing."""
        trained = cls()
        for path in paths:
            for _, found in read_lines(path) if path.is_file() else ():
                if isinstance(found, Sample):
                    trained.add(found)
        return trained

    def add(self, sample: Sample) -> None:
        """Takes in one line; claims that name no run are passed over."""
        self.prompts.add(plain(sample.prompt))
        for claim in sample.meta.get("claims", []):
            try:
                self.runs.update(normal(run) for run in runs_of(claim))
            except (KeyError, TypeError, ValueError, SimulatorError):
                continue

    def saw(self, prompt: str, runs: Iterable[Run] = ()) -> bool:
        """Return whether a prompt or one of its runs is in the file."""
        return plain(prompt) in self.prompts or any(normal(run) in self.runs for run in runs)


def normal(run: Run) -> str:
    """The run with every default filled in: equal for equal experiments, however they were written down.

    Raises SimulatorError where it is no run.
    """
    checked = simulator.validate(simulator.EXPERIMENTS[run.experiment].params, run.params)
    return Run(run.experiment, checked.model_dump(mode="json")).key


def plain(text: str) -> str:
    """A prompt without case, spacing and closing punctuation."""
    return " ".join(text.lower().split()).rstrip(".?! ")


def make_questions(params: EvalParams, chosen: EvaluationSet, trained: Trained) -> tuple[list[Question], int]:
    """The questions, and how many were left out because the training data has seen them."""
    asked: list[Question] = []
    leaked = 0
    for name in dict.fromkeys(kind for kind in params.kinds if kind in QUESTIONS):
        kind, wanted = QUESTIONS[name], params.questions or QUESTIONS_OF_A_KIND
        regions = (TEST, TEST_FAR) if kind.regions and params.extrapolation else (TEST,)
        for region in regions:
            planned = [
                question
                for index in range(TRIES * wanted)
                if (question := kind.plan(chosen, _rng(params, name, region, index), region, index))
            ]
            taken: Counter[str] = Counter()
            most = ceil(wanted / kind.forms)
            for question in _with_results(planned, wanted):
                form = question.facts.get("form", "")
                if taken.total() == wanted:
                    break
                finished = kind.finish(question) if taken[form] < most else None
                if finished is None:
                    continue
                if trained.saw(finished.prompt, finished.runs):
                    leaked += 1
                    continue
                asked.append(finished)
                taken[form] += 1
    return asked, leaked


def _rng(params: EvalParams, name: str, region: Region, index: int) -> Random:
    return Random(f"{params.seed}/eval/{name}/{region.name}/{index}")


def _with_results(planned: list[Question], wanted: int) -> Iterable[Question]:
    """The planned questions with their numbers, run in portions so that spare ones cost nothing."""
    for start in range(0, len(planned), wanted):
        part = planned[start : start + wanted]
        with closing(InProcess()) as source:
            results = dict(run_all(source, [run for question in part for run in question.runs]))
        for question in part:
            yield replace(question, results=[results[run.key] for run in question.runs])


def training_means() -> Means:
    """Each feature's mean over runs of the training region: under "" over all phases equally, else under the phase."""
    rng = Random("training means")
    runs = [
        Run("run_phase", draw(rng, TRAIN, PHASES[i % len(PHASES)], biased=rng.random() < 0.3)) for i in range(MEAN_RUNS)
    ]
    with closing(InProcess()) as source:
        results = [result for _, result in run_all(source, runs)]
    return {
        phase: {
            name: fmean(result["features"][name] for result in results if phase in ("", result["phase_type"]))
            for name in simulator.FEATURE_NAMES
        }
        for phase in ("", *PHASES)
    }
