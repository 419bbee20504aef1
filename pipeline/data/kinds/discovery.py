"""Explaining what unsupervised clustering found."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pipeline.data.claims import Run, Words
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.regions import DEPTHS, FAR_DEPTHS, PHASES, SIZES, Region
from pipeline.data.wordings import listing, pick, rest_text


@kind("discovery")
class DiscoveryKind:
    """Purity, adjusted Rand index and mutual information of one clustering."""

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        phases = sorted(rng.sample(PHASES, rng.choice((2, 3, 4, 4))), key=PHASES.index)
        params = {
            "phases": phases,
            "num_per_phase": rng.choice((5, 8, 10, 12)),
            "k": rng.choice((2, len(phases), len(phases), len(phases), len(phases) + 1)),
            "system_size": rng.choice(SIZES[:5]),
            "depth": rng.choice(FAR_DEPTHS if region.far else DEPTHS),
            "seed": rng.randrange(region.first // 1000, region.last // 1000),
        }
        return Case([Run("discovery", params)])

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        run, result = case.runs[0], results[0]
        head = f"k-means with {words.param(run, 'k')} clusters, {words.param(run, 'num_per_phase')} runs a phase"
        scores = (
            f"purity {words.number(run, result, 'purity')}, adjusted Rand index "
            f"{words.number(run, result, 'adjusted_rand_index')}, normalised mutual information "
            f"{words.number(run, result, 'normalized_mutual_information')}"
        )
        level = words.verdict("purity_level", [(run, result)])
        follows = words.verdict("grouping_meaning", [(run, result)])
        output = f"{head}: {scores}. The grouping is {level}. {follows}"
        phases = listing([str(phase) for phase in run.params["phases"]])
        return Draft(pick(rng, "discovery", phases=phases, rest=rest_text(run.params)), output)
