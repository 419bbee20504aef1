"""Which run, or which phase, has more of a feature? Asked only if the simulator's gap is clear."""

from __future__ import annotations

from contextlib import closing
from random import Random
from typing import Any

import simulator
from pipeline.data.claims import Run
from pipeline.data.regions import DEPTHS, PHASES, SIZES, TRAIN, Region, draw
from pipeline.data.source import InProcess
from pipeline.evaluate.graders import CLEAR, RANKINGS, gap
from pipeline.evaluate.question import Question, question_kind
from pipeline.evaluate.sealed import EvaluationSet
from pipeline.evaluate.settings_text import run_text, settings_text

OTHER_SEEDS = range(TRAIN.first, TRAIN.first + 5)
OFTEN = 4
"""On how many of the other seeds a fair pair has the same winner, at least."""


@question_kind("ordering")
class Ordering:
    """Two runs and a verdict, or four phases and a ranking: half of the questions each."""

    name: str
    regions = True
    forms = 2

    def plan(self, chosen: EvaluationSet, rng: Random, region: Region, index: int) -> Question:
        words = chosen.table("wordings.toml")
        feature = rng.choice(simulator.FEATURE_NAMES)
        if index % 2:
            params = draw(rng, region, PHASES[0])
            prompt = rng.choice(words["ranking"]).format(feature=feature, rest=settings_text(params))
            runs = [Run("run_phase", {**params, "phase_type": phase}) for phase in PHASES]
            form, lead, options = "ranking", "\nLargest first:", RANKINGS
        else:
            first, second = _pair(rng, region)
            shown = f"A: {run_text(first)}\nB: {run_text(second)}"
            prompt = rng.choice(words["pair"]).format(feature=feature, runs=shown)
            runs = [Run("run_phase", first), Run("run_phase", second)]
            form, lead, options = "pair", f"\nMore {feature}:", ("A", "B")
        return Question(
            self.name, region.name, prompt, runs, feature=feature, facts={"form": form}, lead=lead, options=options
        )

    def finish(self, question: Question) -> Question | None:
        places = range(len(question.runs))
        clear = any(abs(gap(question, one, other)) >= CLEAR for one in places for other in places)
        if not clear or (question.facts["form"] == "pair" and not _usual(question)):
            return None
        return question


def _pair(rng: Random, region: Region) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two runs that differ in one setting, each in front equally often."""
    first = draw(rng, region, biased=True)
    second = dict(first)
    name = rng.choice(("phase_type", "phase_type", "system_size", "depth"))
    choices: dict[str, Any] = {"phase_type": PHASES, "system_size": SIZES, "depth": DEPTHS}
    second[name] = rng.choice([value for value in choices[name] if value != first[name]])
    return (first, second) if rng.random() < 0.5 else (second, first)


def _usual(question: Question) -> bool:
    """Whether the pair's larger run is the larger one with most other seeds, too: nobody can predict a seed's whim."""
    runs = [Run(run.experiment, {**run.params, "seed": seed}) for seed in OTHER_SEEDS for run in question.runs]
    with closing(InProcess()) as source:
        values = [float(result["features"][question.feature]) for result in source.run(runs)]
    ahead = sum(first > second for first, second in zip(values[::2], values[1::2], strict=True))
    return (ahead if gap(question, 0, 1) > 0 else len(OTHER_SEEDS) - ahead) >= OFTEN
