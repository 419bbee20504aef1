"""A request in words: does the model call the right tool with the right arguments?"""

from __future__ import annotations

from random import Random

from pipeline.data.kinds.tools import NAMES, arguments, spoken
from pipeline.data.regions import PHASES, Region
from pipeline.data.wordings import listing
from pipeline.evaluate.question import Question, question_kind, wordings

EXPERIMENTS = ("run_phase", "run_phase", "tri", "tri", "echo", "replay_drift", "discovery")
"""What is asked for, in turn: the usual runs twice."""


@question_kind("tools")
class Tools:
    """Experiments and phases take turns; the requests are worded by evaluation's own templates."""

    name: str
    regions = False
    forms = 1

    def plan(self, rng: Random, region: Region, index: int) -> Question:
        experiment = EXPERIMENTS[index % len(EXPERIMENTS)]
        values = arguments(rng, experiment, region)
        if experiment == "discovery":
            phases = sorted(rng.sample(PHASES, rng.choice((2, 3, 4))), key=PHASES.index)
            args, name = {"phases": phases, **values}, listing(phases)
        else:
            phase = PHASES[index // len(EXPERIMENTS) % len(PHASES)]
            args, name = {"phase_type": phase, **values}, rng.choice(NAMES[phase])
        phrase = rng.choice(wordings()["requests"][experiment]).format(name=name, values=spoken(rng, values))
        prompt = rng.choice(wordings()["tools"]).format(request=phrase)
        return Question(self.name, region.name, prompt, facts={"name": experiment, "args": args}, max_tokens=112)

    def finish(self, question: Question) -> Question:
        return question
