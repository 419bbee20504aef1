"""Which run, or which phase, has more of a feature? Asked only where the simulator's gap is clear."""

from __future__ import annotations

from contextlib import closing
from random import Random

import simulator
from pipeline.data.claims import Run
from pipeline.data.kinds.comparison import fitting_feature, pair
from pipeline.data.regions import PHASES, TRAIN, Region, draw
from pipeline.data.source import InProcess
from pipeline.data.wordings import rest_text, settings_text
from pipeline.evaluate.question import Question, question_kind, wordings

CLEAR = 0.3
"""The gap that a fair question has, in units of the feature's scale: twice the tolerance of a numeric answer."""

OTHER_SEEDS = range(TRAIN.first, TRAIN.first + 5)
OFTEN = 4
"""Of the other seeds, in so many a fair pair's larger run is the larger one."""


def gap(question: Question, first: int, second: int) -> float:
    """By how many scales the first run's feature exceeds the second's."""
    values = [float(question.results[place]["features"][question.feature]) for place in (first, second)]
    return (values[0] - values[1]) / simulator.FEATURE_SCALES[question.feature]


@question_kind("ordering")
class Ordering:
    """Two runs and a verdict, or four phases and a ranking: half of the questions each."""

    name: str
    regions = True
    forms = 2

    def plan(self, rng: Random, region: Region, index: int) -> Question:
        if index % 2:
            return self._ranking(rng, region)
        first, second = pair(rng, region)
        feature = fitting_feature(rng, first, second)
        runs = f"A: {settings_text(first)}\nB: {settings_text(second)}"
        prompt = rng.choice(wordings()["pair"]).format(feature=feature, runs=runs)
        both = [Run("run_phase", first), Run("run_phase", second)]
        return Question(self.name, region.name, prompt, both, feature=feature, facts={"form": "pair"}, max_tokens=80)

    def _ranking(self, rng: Random, region: Region) -> Question:
        params = draw(rng, region, PHASES[0])
        feature = rng.choice(simulator.FEATURE_NAMES)
        prompt = rng.choice(wordings()["ranking"]).format(feature=feature, rest=rest_text(params))
        runs = [Run("run_phase", {**params, "phase_type": phase}) for phase in PHASES]
        return Question(
            self.name, region.name, prompt, runs, feature=feature, facts={"form": "ranking"}, max_tokens=128
        )

    def finish(self, question: Question) -> Question | None:
        places = range(len(question.runs))
        clear = any(abs(gap(question, one, other)) >= CLEAR for one in places for other in places)
        if not clear or (question.facts["form"] == "pair" and not _usual(question)):
            return None
        return question


def _usual(question: Question) -> bool:
    """Whether the pair's larger run is the larger one with most other seeds, too: no one can foretell a seed's whim."""
    runs = [Run(run.experiment, {**run.params, "seed": seed}) for seed in OTHER_SEEDS for run in question.runs]
    with closing(InProcess()) as source:
        values = [float(result["features"][question.feature]) for result in source.run(runs)]
    ahead = sum(first > second for first, second in zip(values[::2], values[1::2], strict=True))
    return (ahead if gap(question, 0, 1) > 0 else len(OTHER_SEEDS) - ahead) >= OFTEN
