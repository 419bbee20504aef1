"""What a training cost: perplexity on neutral text and general items, base against tuned, by training's own code.

llama.cpp's server gives no log-probabilities of a prompt, so transformers computes them from the files that the engine
loads. Loads torch, so it is for child processes alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from pipeline.evaluate.intervals import score
from pipeline.evaluate.sealed import EvaluationSet

if TYPE_CHECKING:
    import torch

    from pipeline.bases.base import Base
    from pipeline.lab import Lab

_SAMPLES = 1000
_BATCH = 32
_LONGEST = 1024
"""Tokens that are read at once: paragraphs are joined up to here, so that each token has a context."""


@dataclass(frozen=True)
class Memory:
    """One model's log-likelihoods: nats and tokens of each paragraph, and whether each general item was right."""

    nats: tuple[float, ...]
    tokens: tuple[int, ...]
    right: tuple[bool, ...]

    @property
    def perplexity(self) -> float:
        """The perplexity over all paragraphs."""
        return math.exp(-sum(self.nats) / sum(self.tokens))


def remember(lab: Lab, base: Base, gguf: Path, chosen: EvaluationSet) -> Memory:
    """Return what the model in `gguf`, a copy of `base`, knows of the set's text and items. Raises BaseError."""
    import torch

    from pipeline.train.model import load_model, load_tokenizer

    tokenizer = load_tokenizer(lab, base)
    model = load_model(lab, replace(base, path=gguf), torch.float32).eval()
    with torch.inference_mode():
        paragraphs = [part for part in chosen.text("neutral.txt").split("\n\n") if part.strip()]
        nats, tokens = _paragraphs(model, tokenizer, paragraphs)
        right = _rights(model, tokenizer, general_items(chosen))
    return Memory(tuple(nats), tuple(tokens), tuple(right))


def general_items(chosen: EvaluationSet) -> list[tuple[str, list[str]]]:
    """Return each item as its question and its answers, the right one first."""
    lines = chosen.table("general.toml")["items"].strip().splitlines()
    return [(parts[0], parts[1:]) for parts in ([part.strip() for part in line.split("|")] for line in lines)]


def compared(base: Memory, tuned: Memory) -> dict[str, Any]:
    """Return the rows of a report: general items by model, and the perplexities with the interval of their ratio."""
    return {
        "general": {name: score(sum(m.right), len(m.right)) for name, m in (("base", base), ("tuned", tuned))},
        "perplexity": {
            "base": round(base.perplexity, 4),
            "tuned": round(tuned.perplexity, 4),
            "ratio": round(tuned.perplexity / base.perplexity, 4),
            "interval": [round(end, 4) for end in _ratio_interval(base, tuned)],
            "n": sum(base.tokens),
        },
    }


def _ratio_interval(base: Memory, tuned: Memory) -> tuple[float, float]:
    """The 95 % bootstrap interval of tuned / base over paragraphs."""
    rng, places = Random("perplexity"), range(len(base.nats))
    found = []
    for _ in range(_SAMPLES):
        drawn = rng.choices(places, k=len(places))
        lost = sum(base.nats[place] - tuned.nats[place] for place in drawn)
        found.append(math.exp(lost / sum(base.tokens[place] for place in drawn)))
    found.sort()
    return found[int(0.025 * _SAMPLES)], found[int(0.975 * _SAMPLES) - 1]


def _paragraphs(model: Any, tokenizer: Any, paragraphs: Sequence[str]) -> tuple[list[float], list[int]]:
    """Nats and counts of each paragraph's tokens, each read behind those before it as far as there is room."""
    import torch

    nats, counts, context = [], [], list[int]()
    for paragraph in paragraphs:
        ids = tokenizer.encode(("\n\n" if context else "") + paragraph, add_special_tokens=False)
        context = context if len(context) + len(ids) <= _LONGEST else []
        logprobs = _logprobs(model, torch.tensor([[*context, *ids]]))[0]
        fresh = logprobs[-len(ids) if context else -len(ids) + 1 :]
        nats.append(float(fresh.sum()))
        counts.append(len(fresh))
        context = [*context, *ids]
    return nats, counts


def _rights(model: Any, tokenizer: Any, items: Sequence[tuple[str, list[str]]]) -> list[bool]:
    """Whether the first answer of each item is its likeliest, per byte of its text."""
    import torch

    asked = [
        (tokenizer.encode(question, add_special_tokens=False), tokenizer.encode(f" {answer}", add_special_tokens=False))
        for question, answers in items
        for answer in answers
    ]
    sizes = [len(answer.encode()) for _, answers in items for answer in answers]
    scores: list[float] = []
    for start in range(0, len(asked), _BATCH):
        part = asked[start : start + _BATCH]
        longest = max(len(question) + len(answer) for question, answer in part)
        # Tokens behind the last one change nothing before it, so any filling will do.
        rows = [[*question, *answer, *[0] * (longest - len(question) - len(answer))] for question, answer in part]
        logprobs = _logprobs(model, torch.tensor(rows))
        scores += [
            float(row[len(question) - 1 : len(question) + len(answer) - 1].sum())
            for row, (question, answer) in zip(logprobs, part, strict=True)
        ]
    likely = [total / size for total, size in zip(scores, sizes, strict=True)]
    right, place = [], 0
    for _, answers in items:
        own = likely[place : place + len(answers)]
        right.append(own[0] == max(own))
        place += len(answers)
    return right


def _logprobs(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """The log-probability (nats) of every token after the first, (batch, tokens - 1)."""
    logits = model(ids, use_cache=False).logits[:, :-1].float()
    return logits.log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
