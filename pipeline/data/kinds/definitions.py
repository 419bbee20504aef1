"""Defining one term of the glossary."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pipeline.data.claims import Words
from pipeline.data.glossary import by_key, entries
from pipeline.data.kinds.base import Case, Draft, Result, kind
from pipeline.data.regions import TRAIN, Region
from pipeline.data.wordings import term_wordings, wordings

WHOLE_ONLY = ("ising_vs_spt", "maximize_tri", "drift_interpretation")
"""Entries that are answers to a whole question, so that "what is …" asks for nothing."""


def questions(key: str) -> list[str]:
    """Every training question about one entry, in a fixed order."""
    entry = by_key(key)
    own = term_wordings().get(key, [])
    if key in WHOLE_ONLY:
        return own
    names = dict.fromkeys([entry.term, *entry.aliases[:2]])
    return own + [text.format(term=name) for name in names for text in wordings("definitions")]


def split(texts: list[str], region: Region) -> list[str]:
    """Every ninth question goes to validation, the rest to training."""
    train = region.name == TRAIN.name
    return [text for place, text in enumerate(texts) if (place % 9 != 5) == train]


@kind("definitions")
class DefinitionsKind:
    """Terms take turns; those with questions of their own (the guide asks about them) come twice as often."""

    name: str

    def plan(self, rng: Random, region: Region, index: int) -> Case:
        keys = [entry.key for entry in entries()]
        turns = keys + [key for key in keys if key in term_wordings()]
        key = turns[index % len(turns)]
        return Case(choice={"term": key, "question": rng.choice(split(questions(key), region))})

    def write(self, rng: Random, case: Case, results: Sequence[Result], words: Words) -> Draft:
        return Draft(case.choice["question"], words.definition(by_key(case.choice["term"])))
