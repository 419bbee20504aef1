"""Exact and near duplicates.

Exact: the same prompt, case, spacing and the punctuation around words aside. Near: the same answer to prompts that
share at least nine tenths of their words (Jaccard index of word sets), which is a paraphrase without anything new.
Samples with the same prompt but another answer contradict each other: the first one stays. A prompt is all that the
answer is given to, earlier turns of a chat included.
"""

from __future__ import annotations

import math
from collections import defaultdict

from pipeline.data.line import Sample

NEAR = 0.9
_AROUND = ".,;:!?()[]\"'`*"


def _words(text: str) -> tuple[str, ...]:
    return tuple(bare for word in text.lower().split() if (bare := word.strip(_AROUND)))


class Seen:
    """Remembers samples and tells whether the next one is new."""

    def __init__(self) -> None:
        self.prompts: set[tuple[str, ...]] = set()
        self._near: dict[tuple[tuple[str, ...], str], list[frozenset[str]]] = defaultdict(list)
        self.exact = 0
        self.near = 0

    def take(self, sample: Sample, near: bool = True) -> bool:
        """True, and remembered, where the sample is new; counted as exact or near duplicate otherwise.

        Without `near` exact ones alone are refused: of a user's own lines, one label for many inputs is what is meant.
        """
        prompt, answer = _words(sample.context), _words(sample.output)
        if prompt in self.prompts:
            self.exact += 1
            return False
        words = frozenset(prompt)
        keys = [(answer, word) for word in _telling(words)]
        if near and any(_jaccard(words, other) >= NEAR for key in keys for other in self._near.get(key, ())):
            self.near += 1
            return False
        self._keep(prompt, words, keys)
        return True

    def remember(self, sample: Sample) -> None:
        """Takes note of a sample that stays, duplicate or not."""
        prompt = _words(sample.context)
        words = frozenset(prompt)
        self._keep(prompt, words, [(_words(sample.output), word) for word in _telling(words)])

    def _keep(self, prompt: tuple[str, ...], words: frozenset[str], keys: list[tuple[tuple[str, ...], str]]) -> None:
        self.prompts.add(prompt)
        for key in keys:
            self._near[key].append(words)


def _telling(words: frozenset[str]) -> list[str]:
    """So many of the words, longest first, that two near sets have at least one of them in common.

    Sets whose Jaccard index is t share t of the larger one's words, so that at most a share 1 - t of either is its
    own (prefix filtering: Chaudhuri, Ganti & Kaushik, ICDE 2006). Long words are rare, which keeps the lists short.
    """
    ranked = sorted(words, key=lambda word: (-len(word), word))
    return ranked[: len(ranked) - math.ceil(NEAR * len(ranked)) + 1]


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if one or other else 1.0
