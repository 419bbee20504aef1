"""Exact and near duplicates.

Exact: the same prompt and answer, case, punctuation and spacing aside. Near: the same answer to prompts that share at
least nine tenths of their words (Jaccard index of word sets), which is a paraphrase without anything new. Samples
with the same prompt but another answer contradict each other: the first one stays.
"""

from __future__ import annotations

import re
from collections import defaultdict

from pipeline.data.line import Sample

NEAR = 0.9
_WORD = re.compile(r"[\w.+-]+")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip(".") for word in _WORD.findall(text.lower()))


class Seen:
    """Remembers samples and tells whether the next one is new."""

    def __init__(self) -> None:
        self.prompts: set[tuple[str, ...]] = set()
        self.by_answer: dict[tuple[str, ...], list[frozenset[str]]] = defaultdict(list)
        self.exact = 0
        self.near = 0

    def take(self, sample: Sample) -> bool:
        """True, and remembered, where the sample is new; counted as exact or near duplicate otherwise."""
        prompt, answer = _words(sample.prompt), _words(sample.output)
        if prompt in self.prompts:
            self.exact += 1
            return False
        words = frozenset(prompt)
        if any(_jaccard(words, other) >= NEAR for other in self.by_answer[answer]):
            self.near += 1
            return False
        self.prompts.add(prompt)
        self.by_answer[answer].append(words)
        return True


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if one or other else 1.0
