"""Batches and their parts of near-equal length, the same for the same seed and epoch."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.train.samples import Encoded, Spans, Tokens, TokenSet

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Batch:
    """One micro-batch: `ids` (samples × longest), right-padded, and the tokens each sample has.

    `learned` holds the ranges of each sample's tokens that carry the loss. All samples follow `prefix`.
    """

    prefix: Tokens
    ids: torch.Tensor
    lengths: list[int]
    learned: list[Spans]

    @property
    def answer_tokens(self) -> int:
        """Number of tokens with loss."""
        return sum(stop - start for spans in self.learned for start, stop in spans)

    @property
    def tokens(self) -> int:
        """Tokens that the samples hold, the prefix counted in each of them."""
        return sum(self.lengths) + len(self.prefix) * len(self.lengths)


def epoch_order(tokens: TokenSet, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Sample numbers of each batch of that epoch, in order. The same arguments give the same order.

    Samples of all lengths, and so of all kinds, meet in a batch; its parts are of near-equal length (`pieces`). Batches
    sorted by length hold one kind each: after 260 steps of 4 the validation loss was 0.256 with them, 0.223 without.
    """
    order = list(range(len(tokens.samples)))
    random.Random(f"{seed} {epoch}").shuffle(order)
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def pieces(tokens: TokenSet, numbers: list[int], most_samples: int, most_tokens: int, overhead: int) -> list[list[int]]:
    """A batch in parts of near-equal length: the cheapest split, by dynamic programming over the sorted samples.

    A part costs its padded tokens, the shared prefix, and `overhead` tokens for being a part. It has at most
    `most_samples` samples, and at most `most_tokens` padded tokens unless one sample alone has more.
    """
    order = sorted(numbers, key=lambda i: (len(tokens.samples[i].tokens), i))
    lengths = [len(tokens.samples[i].tokens) for i in order]
    price, cut = [0.0] + [math.inf] * len(order), [0] * (len(order) + 1)
    for end in range(1, len(order) + 1):
        for start in range(end - 1, max(-1, end - most_samples - 1), -1):
            padded = (end - start) * lengths[end - 1]
            if padded > most_tokens and end - start > 1:
                break
            cost = price[start] + padded + len(tokens.prefix) + overhead
            if cost < price[end]:
                price[end], cut[end] = cost, start
    parts, end = [], len(order)
    while end:
        parts.append(order[cut[end] : end])
        end = cut[end]
    return parts[::-1]


def collate(tokens: TokenSet, numbers: list[int]) -> Batch:
    """The samples of those numbers as one batch."""
    import torch

    rows: list[Encoded] = [tokens.samples[i] for i in numbers]
    ids = torch.zeros(len(rows), max(len(row.tokens) for row in rows), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row.tokens)] = torch.tensor(row.tokens)
    return Batch(tokens.prefix, ids, [len(row.tokens) for row in rows], [row.learned for row in rows])
