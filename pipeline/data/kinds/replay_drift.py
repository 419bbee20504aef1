"""Explaining how a fingerprint drifts when a run is replayed deeper."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.regions import PHASES, Region, draw
from pipeline.data.wordings import pick, rest_text, settings_text

FACTORS = ([1, 2, 4], [1, 2, 4, 8], [1, 2, 3, 4])
BASE_DEPTHS = (1, 2, 3, 4)


@kind("replay_drift")
class ReplayDriftKind:
    """Drift at every factor, the growth exponent where there is one, and the sensitivity index."""

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        drawn = draw(rng, region, PHASES[index % len(PHASES)])
        params = {
            "phase_type": drawn["phase_type"],
            "system_size": drawn["system_size"],
            "base_depth": rng.choice(BASE_DEPTHS),
            "depth_factors": list(rng.choice(FACTORS)),
            "seed": drawn["seed"],
        }
        return Case([Run("replay_drift", params)])

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        run, result = case.runs[0], results[0]
        pair = [(run, result)]
        level = words.verdict("drift_level", pair)
        factors = list(run.params["depth_factors"])
        drifts = ", ".join(
            f"{words.number(run, result, f'runs.{place}.drift')} at factor {words.param(run, f'depth_factors.{place}')}"
            for place in range(1, len(factors))
        )
        course = words.verdict("drift_course", pair)
        index = words.number(run, result, "replay_sensitivity_index")
        growth = ""
        if result["growth_exponent"] is not None:
            growth = f", growth exponent {words.number(run, result, 'growth_exponent')}"
        measured = f"Replay drift is {level}: {drifts}. {course} Replay sensitivity index {index}{growth}."
        output = f"{measured} {words.verdict('drift_meaning', pair)}"
        settings, rest = settings_text(run.params), rest_text(run.params)
        return Draft(pick(rng, "replay_drift", phase=run.params["phase_type"], settings=settings, rest=rest), output)
